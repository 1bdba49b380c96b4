// The process: arguments in, exit status out.
#include "apps/commands.h"

int main(int count, char** arguments) { return tidings::apps::run_command_line(count, arguments); }
