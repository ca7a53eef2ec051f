/* The version of the API. SemVer; the take format is versioned apart. */
#ifndef REPRISE_VERSION_H
#define REPRISE_VERSION_H

#define RP_VERSION_MAJOR 0
#define RP_VERSION_MINOR 1
#define RP_VERSION_PATCH 0
#define RP_VERSION_TEXT "0.1.0"

#endif
