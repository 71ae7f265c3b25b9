/* SPDX-License-Identifier: Apache-2.0
 *
 * The first process of the appliance: loads the drivers that /modules lists, mounts the card read-only, keeps the
 * listener running, and switches off when the listener ends of its own will (which it does only after a recording).
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TICK_MS = 250, CARD_MS = 15000, AGAIN_MS = 2000, END_MS = 3000, AUDIO_GROUP = 29 };

static volatile sig_atomic_t restart_wanted;

static void on_signal(int number) {
    (void)number;
    restart_wanted = 1;
}

/* Seconds since the kernel started. */
static double uptime(void) {
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

#if defined(__GNUC__)
__attribute__((format(printf, 1, 2)))
#endif
static void say(const char *format, ...) {
    va_list arguments;
    printf("kws-init: %.2f s: ", uptime());
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
}

static void mount_or_say(const char *source, const char *target, const char *type, unsigned long flags) {
    mkdir(target, 0755);
    if (mount(source, target, type, flags, NULL) != 0 && errno != EBUSY) {
        say("%s cannot be mounted: %s", target, strerror(errno));
    }
}

static void load(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) != 0 && errno != EEXIST && errno != ENODEV)) {
        say("%s is not loaded: %s", path, strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
}

/* The list is in the order of loading: what a driver needs comes before it. */
static void load_modules(void) {
    char line[256];
    FILE *list = fopen("/modules/list", "re");
    while (list && fgets(line, sizeof line, list)) {
        line[strcspn(line, "\n")] = '\0';
        load(line);
    }
    if (list) {
        fclose(list);
    }
}

/* The first partition of the card that this was started from, which may take a while to appear. */
static int mount_card(void) {
    static const char *const devices[] = {"/dev/mmcblk0p1", "/dev/mmcblk1p1", "/dev/sda1", "/dev/vda1"};
    mkdir("/boot", 0755);
    for (int waited = 0; waited < CARD_MS; waited += TICK_MS) {
        for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
            if (mount(devices[i], "/boot", "vfat", MS_RDONLY | MS_NODEV | MS_NOSUID,
                      "codepage=437,iocharset=ascii,shortname=mixed") != 0) {
                continue;
            }
            if (access("/boot/kws.txt", R_OK) == 0) {
                return 1;
            }
            umount("/boot"); /* somebody else's */
        }
        poll(NULL, 0, TICK_MS);
    }
    return 0;
}

/* Lets the group audio have the sound devices: there is no udev here, and a microphone may be plugged in at any time. */
static void open_sound(void) {
    struct dirent *entry;
    DIR *folder = opendir("/dev/snd");
    while (folder && (entry = readdir(folder))) {
        char path[300];
        struct stat status;
        snprintf(path, sizeof path, "/dev/snd/%s", entry->d_name);
        if (stat(path, &status) == 0 && S_ISCHR(status.st_mode) && status.st_gid != AUDIO_GROUP) {
            if (chown(path, 0, AUDIO_GROUP) != 0 || chmod(path, 0660) != 0) {
                say("%s stays closed: %s", path, strerror(errno));
            }
        }
    }
    if (folder) {
        closedir(folder);
    }
}

static pid_t start_listener(int card) {
    const char *settings = card ? "/boot/kws.txt" : "/kws.txt";
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGTERM, SIG_DFL);
        signal(SIGINT, SIG_DFL);
        setsid();
        if (access("/dev/watchdog", F_OK) == 0) {
            execl("/kws-listener", "kws-listener", "--user", "kws", "--watchdog", "/dev/watchdog", "--settings",
                  settings, (char *)NULL);
        } else {
            execl("/kws-listener", "kws-listener", "--user", "kws", "--settings", settings, (char *)NULL);
        }
        say("the listener cannot be run: %s", strerror(errno));
        _exit(127);
    }
    return pid;
}

/* Keeps the listener running. Returns how to end: the machine's restart, or its switching off. */
static int supervise(int card) {
    pid_t listener = start_listener(card);
    for (;;) {
        int status;
        struct rusage usage;
        pid_t ended;
        while ((ended = wait4(-1, &status, WNOHANG, &usage)) > 0) {
            if (ended != listener) {
                continue; /* an orphan of a program that the listener ran */
            }
            say("the listener took %ld KiB at most", usage.ru_maxrss);
            if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
                return RB_POWER_OFF;
            }
            say("the listener ended (status %d) and is started again", status);
            poll(NULL, 0, AGAIN_MS);
            listener = start_listener(card);
        }
        if (restart_wanted) {
            if (listener > 0) {
                kill(listener, SIGTERM);
            }
            for (int waited = 0; listener > 0 && waited < END_MS && waitpid(listener, &status, WNOHANG) == 0;
                 waited += TICK_MS) {
                poll(NULL, 0, TICK_MS);
            }
            return RB_AUTOBOOT;
        }
        open_sound();
        poll(NULL, 0, TICK_MS);
    }
}

int main(void) {
    struct sigaction action = {.sa_handler = on_signal};
    if (getpid() != 1) {
        fputs("kws-init: this is for the kernel to start\n", stderr);
        return 2;
    }
    mount_or_say("devtmpfs", "/dev", "devtmpfs", MS_NOSUID);
    mount_or_say("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC);
    mount_or_say("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC);
    sigaction(SIGINT, &action, NULL); /* Ctrl-Alt-Del */
    sigaction(SIGTERM, &action, NULL);
    reboot(RB_DISABLE_CAD);

    load_modules();
    int card = mount_card();
    say(card ? "the card is mounted" : "no card with kws.txt; listening with the settings of the build");
    open_sound();
    int how = supervise(card);
    say(how == RB_POWER_OFF ? "the listener has ended; switching off" : "restarting");
    umount("/boot");
    sync();
    reboot(how);
    for (;;) { /* where a machine cannot do it */
        pause();
    }
}
