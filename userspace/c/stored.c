// stored DIRECTORY [ROUNDS]
//
// Writes files for ever, or so many times, as one who expects the power to fail, and says what
// fsync(2) has returned for: "A 2 17" if the first 17 records of the file a2 are stored, "R 1 9" if
// the file r1 holds version 9 or a later one. Whoever cuts the power looks for that afterwards
// (tests/src/stages/ext2.rs). Others write beside that and store nothing.

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { RECORD = 200, WRITERS = 2 };

static char text[64 * 1024];

static void fail(const char *what)
{
    fprintf(stderr, "FAIL stored: %s: %m\n", what);
    exit(1);
}

static void say(char kind, int writer, int number)
{
    char line[64];
    int len = snprintf(line, sizeof line, "%c %d %d\n", kind, writer, number);
    if (write(1, line, len) != len)
        exit(1);
}

// Record `number` of a file: its number, and a letter all over.
static void record(char *to, int number)
{
    memset(to, 'a' + number % 26, RECORD);
    char head[16];
    memcpy(to, head, snprintf(head, sizeof head, "%08d", number));
    to[RECORD - 1] = '\n';
}

// Some records at a time are added, and stored.
static void add(int writer, long rounds)
{
    char name[16];
    snprintf(name, sizeof name, "a%d", writer);
    int file = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644);
    if (file < 0)
        fail(name);
    for (int number = 0; rounds--;) {
        for (int count = 1 + number % 37; count--; number++) {
            record(text, number);
            if (write(file, text, RECORD) != RECORD)
                fail(name);
        }
        if (fsync(file))
            fail("fsync");
        say('A', writer, number);
    }
}

// A new file takes the place of the one before.
static void replace(int writer, long rounds)
{
    char name[16], new[16];
    snprintf(name, sizeof name, "r%d", writer);
    snprintf(new, sizeof new, "t%d", writer);
    int directory = open(".", O_RDONLY | O_DIRECTORY);
    for (int version = 0; rounds--; version++) {
        int file = open(new, O_WRONLY | O_CREAT | O_TRUNC, 0644);
        int len = (version * 977 % 60) * RECORD + RECORD;
        for (int at = 0; at < len; at += RECORD)
            record(text + at, version);
        if (file < 0 || write(file, text, len) != len || fsync(file))
            fail(new);
        close(file);
        if (rename(new, name) || fsync(directory))
            fail("rename");
        say('R', writer, version);
    }
}

// Files that grow, and come and go, with nothing stored.
static void disturb(long rounds)
{
    char name[32];
    memset(text, 'n', sizeof text);
    for (unsigned round = 0; rounds--; round++) {
        snprintf(name, sizeof name, "n%u", round % 11);
        int file = open(name, O_WRONLY | O_CREAT | O_APPEND, 0644);
        if (file < 0 || write(file, text, 300 + round * 7919 % 5000) < 0)
            fail(name);
        close(file);
        if (round % 5 == 4) {
            snprintf(name, sizeof name, "n%u", round / 5 % 11);
            unlink(name);
        }
        if (round % 50 == 49)
            usleep(20000);
    }
}

int main(int argc, char **argv)
{
    if (argc < 2 || chdir(argv[1]))
        fail("directory");
    // Without end the number is negative, and never comes to 0.
    long rounds = argc > 2 ? atol(argv[2]) : -1;
    for (int writer = 0; writer < WRITERS; writer++) {
        if (!fork()) {
            add(writer, rounds);
            _exit(0);
        }
        if (!fork()) {
            replace(writer, rounds);
            _exit(0);
        }
    }
    if (!fork()) {
        disturb(rounds);
        _exit(0);
    }
    int status, bad = 0;
    while (wait(&status) > 0)
        bad |= status;
    return bad != 0;
}
