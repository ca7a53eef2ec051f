/* redis-server under redis-benchmark: what the server costs, not the client. */
#include "malloc_cases.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static const char *const server[] = {
    "redis-server", "--port", "0", "--unixsocket", "redis.sock", "--save", "", "--appendonly",
    "no",           "--dir",  ".", "--logfile",    "redis.log",  NULL,
};
static const char *const load[] = {
    "redis-benchmark",
    "-s",
    "redis.sock",
    "-q",
    "-n",
    "60000",
    "-r",
    "20000",
    "-P",
    "16",
    "-c",
    "20",
    "-d",
    "120",
    "-t",
    "set,get,incr,lpush,rpush,lpop,sadd,hset,spop,zadd,zpopmin,mset",
    NULL,
};
static const char *const ping[] = {"redis-cli", "-s", "redis.sock", "ping", NULL};
static const char *const stop[] = {"redis-cli", "-s", "redis.sock", "shutdown", "nosave", NULL};

enum { START_TRIES = 1000, TRY_US = 10000 };

static bool wait_for_socket(void)
{
    for (int i = 0; i < START_TRIES; i++) {
        if (access("redis.sock", F_OK) == 0) {
            return true;
        }
        usleep(TRY_US);
    }
    return false;
}

usage run_redis(const bench_case *c, const char *preload)
{
    (void)c;
    unlink("redis.sock");
    pid_t process =
        run_start(&(command){.argv = server, .preload = preload, .output = "server.out"});
    if (process < 0) {
        return (usage){.good = false};
    }
    bool good = wait_for_socket() &&
                run_command(&(command){.argv = load, .output = "load.out"}).good &&
                run_command(&(command){.argv = ping, .output = "ping.out"}).good;
    if (!good || !run_command(&(command){.argv = stop, .output = "stop.out"}).good) {
        kill(process, SIGKILL);
    }
    usage u = run_finish(process, "ping.out");
    u.good = u.good && good;
    return u;
}
