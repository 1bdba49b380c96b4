# Writes the file INPUT as a C++ raw string literal to OUTPUT. Run with cmake -P.
file(READ "${INPUT}" text)
file(WRITE "${OUTPUT}" "R\"tidings(${text})tidings\"\n")
