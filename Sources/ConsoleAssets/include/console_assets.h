#ifndef APUS_CONSOLE_ASSETS_H
#define APUS_CONSOLE_ASSETS_H

#include <stddef.h>

// The files of the console as they lie in this folder, compiled in, so that one binary serves them.
struct console_asset {
    const char *name;
    const unsigned char *start;
    size_t bytes;
};

// The asset at a place from 0 on; past the last one its name is NULL.
struct console_asset console_asset_at(size_t place);

#endif
