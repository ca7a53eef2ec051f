/* Reprise: loop-live C programs. This header includes all the others; each also stands alone.
 *
 *   stage.h   what a module defines and is given
 *   draw.h    small software drawing for the canvas
 *   memory.h  the region's allocators; more of them: arena.h backed.h page.h slot.h temp.h
 *   debug.h   catching overwrites, use after free, uninitialised use
 *   trace.h   who owns memory: scopes, leaks, reports
 *   watch.h   what a person wants to see of a step, and what builds must agree on
 *   deck.h    the engine inside your own program: frames, seek, loop, rollback
 *   reload.h  a module inside your own program, reloaded while it runs
 *   take.h    what its history holds, as a file
 *   worker.h  threads beside it
 *   status.h  error codes and the error record
 */
#ifndef REPRISE_H
#define REPRISE_H

#include <reprise/arena.h>
#include <reprise/backed.h>
#include <reprise/debug.h>
#include <reprise/deck.h>
#include <reprise/draw.h>
#include <reprise/memory.h>
#include <reprise/page.h>
#include <reprise/reload.h>
#include <reprise/slot.h>
#include <reprise/stage.h>
#include <reprise/status.h>
#include <reprise/take.h>
#include <reprise/temp.h>
#include <reprise/trace.h>
#include <reprise/types.h>
#include <reprise/version.h>
#include <reprise/watch.h>
#include <reprise/worker.h>

#endif
