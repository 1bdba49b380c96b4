# Puts the text of the file INPUT in place of @text@ in TEMPLATE, and writes OUTPUT. Run with cmake -P.
file(READ "${INPUT}" text)
configure_file("${TEMPLATE}" "${OUTPUT}" @ONLY)
