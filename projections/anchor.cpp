// Anchor until the directory has its first source.
