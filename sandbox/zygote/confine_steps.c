// The very steps that the nursery takes.
#include "../nursery/confine.c"
