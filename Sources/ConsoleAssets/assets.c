// The files of the console, put into the binary by the compiler.
#include "console_assets.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char page[] = {
#embed "page.html"
};
static const unsigned char style[] = {
#embed "style.css"
};
static const unsigned char icon[] = {
#embed "icon.svg"
};
static const unsigned char main_script[] = {
#embed "main.js"
};
static const unsigned char api[] = {
#embed "api.js"
};
static const unsigned char core[] = {
#embed "core.js"
};
static const unsigned char charts[] = {
#embed "charts.js"
};
static const unsigned char parts[] = {
#embed "parts.js"
};
static const unsigned char overview[] = {
#embed "overview.js"
};
static const unsigned char functions[] = {
#embed "functions.js"
};
static const unsigned char topics[] = {
#embed "topics.js"
};
static const unsigned char deliveries[] = {
#embed "deliveries.js"
};
static const unsigned char invocations[] = {
#embed "invocations.js"
};
static const unsigned char letters[] = {
#embed "letters.js"
};
static const unsigned char approvals[] = {
#embed "approvals.js"
};

#define ASSET(name, bytes) {name, bytes, sizeof bytes}

static const struct console_asset assets[] = {
    ASSET("page.html", page),         ASSET("style.css", style),          ASSET("icon.svg", icon),
    ASSET("main.js", main_script),    ASSET("api.js", api),               ASSET("core.js", core),
    ASSET("charts.js", charts),       ASSET("parts.js", parts),           ASSET("overview.js", overview),
    ASSET("functions.js", functions), ASSET("topics.js", topics),         ASSET("deliveries.js", deliveries),
    ASSET("letters.js", letters),     ASSET("invocations.js", invocations), ASSET("approvals.js", approvals),
};

struct console_asset console_asset_at(size_t place) {
    if (place < sizeof assets / sizeof *assets) return assets[place];
    return (struct console_asset){NULL, NULL, 0};
}
