// The files of the console, put into the binary by the compiler.
#include "console_assets.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char page[] = {
#embed "page.html"
};
static const unsigned char style[] = {
#embed "style.css"
};
static const unsigned char core[] = {
#embed "core.js"
};
static const unsigned char views[] = {
#embed "views.js"
};
static const unsigned char main[] = {
#embed "main.js"
};
static const unsigned char icon[] = {
#embed "icon.svg"
};

const unsigned char *console_page_start(void) { return page; }
const size_t console_page_bytes = sizeof page;
const unsigned char *console_style_start(void) { return style; }
const size_t console_style_bytes = sizeof style;
const unsigned char *console_core_start(void) { return core; }
const size_t console_core_bytes = sizeof core;
const unsigned char *console_views_start(void) { return views; }
const size_t console_views_bytes = sizeof views;
const unsigned char *console_main_start(void) { return main; }
const size_t console_main_bytes = sizeof main;
const unsigned char *console_icon_start(void) { return icon; }
const size_t console_icon_bytes = sizeof icon;
