#ifndef APUS_CONSOLE_ASSETS_H
#define APUS_CONSOLE_ASSETS_H

#include <stddef.h>

// The files of the console as they lie in this folder, compiled in, so that one binary serves them. Swift imports no array of unknown
// length, so that each is a function that gives its start, and its size.
const unsigned char *console_page_start(void);
const unsigned char *console_style_start(void);
const unsigned char *console_core_start(void);
const unsigned char *console_views_start(void);
const unsigned char *console_main_start(void);
const unsigned char *console_icon_start(void);
extern const size_t console_page_bytes, console_style_bytes, console_core_bytes, console_views_bytes,
    console_main_bytes, console_icon_bytes;

#endif
