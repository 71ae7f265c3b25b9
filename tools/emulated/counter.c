/* SPDX-License-Identifier: Apache-2.0
 *
 * A QEMU plugin that counts every instruction an emulated program retires: one line an instruction address,
 *
 *     <address> <instruction word> <times retired>            all but the last in hexadecimal
 *
 * and then the program's memory map, so that addresses can be told apart by library. tools/emulated/retired.py builds
 * it, runs programs under it, and turns addresses into functions and instruction words into classes.
 *
 *     cc -O2 -shared -fPIC counter.c -o counter.so
 *     qemu-aarch64 -plugin ./counter.so,out=counts.txt program
 *
 * Blocks of code are counted, not single instructions: one addition a block leaves the emulator as fast as it was.
 * A block that a signal or fault leaves half-way is counted whole; programs measured here meet neither. One thread only:
 * the additions are not atomic.
 *
 * QEMU installs no header for its plugins in most distributions. These are the declarations of interface version 1
 * that are used here; QEMU offers that version since 4.2 and refuses the plugin where it no longer does.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
typedef struct qemu_info {
    const char *target_name;
    struct {
        int min, cur;
    } version;
    bool system_emulation;
    struct {
        int smp_vcpus, max_vcpus;
    } system;
} qemu_info_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
                                           void (*callback)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, enum qemu_plugin_op op, void *counter,
                                              uint64_t immediate);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, void (*callback)(qemu_plugin_id_t id, void *data), void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;
__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc,
                                                               char **argv);

/* A translated block. Code that is translated again gets another one: the reader adds up. */
typedef struct block {
    struct block *next;
    uint64_t runs;
    size_t count;
    struct {
        uint64_t address;
        uint32_t word;
    } code[];
} block_t;

static block_t *blocks;
static const char *path;

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    size_t count = qemu_plugin_tb_n_insns(tb);
    block_t *block = malloc(sizeof *block + count * sizeof *block->code);
    if (!block) {
        abort();
    }
    block->runs = 0;
    block->count = count;
    for (size_t i = 0; i < count; i++) {
        const struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        block->code[i].address = qemu_plugin_insn_vaddr(insn);
        memcpy(&block->code[i].word, qemu_plugin_insn_data(insn), sizeof block->code[i].word);
    }
    block->next = blocks;
    blocks = block;
    qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64, &block->runs, 1);
}

static void finished(qemu_plugin_id_t id, void *data) {
    (void)id;
    (void)data;
    FILE *out = fopen(path, "w");
    if (!out) {
        perror(path);
        return;
    }
    for (const block_t *block = blocks; block; block = block->next) {
        for (size_t i = 0; block->runs && i < block->count; i++) {
            fprintf(out, "%llx %x %llu\n", (unsigned long long)block->code[i].address, (unsigned)block->code[i].word,
                    (unsigned long long)block->runs);
        }
    }
    /* 64-bit programs lie at their own addresses inside the emulator: its map is theirs. */
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[4096];
    fputs("maps\n", out);
    while (maps && fgets(line, sizeof line, maps)) {
        fputs(line, out);
    }
    if (maps) {
        fclose(maps);
    }
    fclose(out);
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv) {
    if (info->system_emulation || strcmp(info->target_name, "aarch64") != 0 || argc != 1 ||
        strncmp(argv[0], "out=", 4) != 0) {
        fputs("counter: use as qemu-aarch64 -plugin counter.so,out=FILE\n", stderr);
        return 1;
    }
    path = strdup(argv[0] + 4);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, finished, NULL);
    return 0;
}
