/* SPDX-License-Identifier: Apache-2.0
 *
 * The two files are read here, because getpwnam of a static C library may want to load modules.
 */
#define _GNU_SOURCE /* setgroups, setresuid */
#include "privileges.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <unistd.h>

enum { LINE = 4096, MAX_GROUPS = 32 };

/* Cuts the next field off a line of /etc/passwd or /etc/group. */
static char *field(char **rest) {
    static char none[1];
    char *start = *rest ? *rest : none;
    char *colon = strchr(start, ':');
    *rest = colon ? colon + 1 : NULL;
    start[strcspn(start, ":\n")] = '\0';
    return start;
}

static int number(const char *text, unsigned *value) {
    char *end;
    unsigned long parsed = strtoul(text, &end, 10);
    *value = (unsigned)parsed;
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && parsed < 0xffffffffu;
}

static int find_user(const char *user, unsigned *uid, unsigned *gid) {
    char line[LINE];
    int found = 0;
    FILE *file = fopen("/etc/passwd", "re");
    while (file && !found && fgets(line, sizeof line, file)) {
        char *rest = line;
        if (strcmp(field(&rest), user) == 0) {
            field(&rest); /* password */
            found = number(field(&rest), uid) && number(field(&rest), gid);
        }
    }
    if (file) {
        fclose(file);
    }
    return found;
}

/* Groups that list `user`, `own` first. */
static size_t find_groups(const char *user, unsigned own, gid_t groups[MAX_GROUPS]) {
    char line[LINE];
    size_t count = 0;
    FILE *file = fopen("/etc/group", "re");
    groups[count++] = own;
    while (file && count < MAX_GROUPS && fgets(line, sizeof line, file)) {
        char *rest = line;
        unsigned gid;
        field(&rest); /* name */
        field(&rest); /* password */
        if (!number(field(&rest), &gid)) {
            continue;
        }
        for (char *member = strtok(field(&rest), ","); member; member = strtok(NULL, ",")) {
            if (strcmp(member, user) == 0) {
                groups[count++] = gid;
                break;
            }
        }
    }
    if (file) {
        fclose(file);
    }
    return count;
}

int privileges_drop(const char *user, char *why, size_t why_size) {
    unsigned uid, gid;
    gid_t groups[MAX_GROUPS];
    if (geteuid() == 0) {
        if (!find_user(user, &uid, &gid)) {
            snprintf(why, why_size, "user '%.40s' is not in /etc/passwd", user);
            return 0;
        }
        size_t count = find_groups(user, gid, groups);
        if (setgroups(count, groups) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0) {
            snprintf(why, why_size, "cannot become user '%.40s': %s", user, strerror(errno));
            return 0;
        }
        if (uid != 0 && setuid(0) == 0) {
            snprintf(why, why_size, "became user '%.40s' and could still become root again", user);
            return 0;
        }
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        snprintf(why, why_size, "cannot give up gaining privileges: %s", strerror(errno));
        return 0;
    }
    return 1;
}
