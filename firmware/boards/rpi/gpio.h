/* SPDX-License-Identifier: Apache-2.0
 *
 * One GPIO line for an LED or a relay, through the kernel's character device (its second interface, <linux/gpio.h>).
 */
#ifndef KWS_RPI_GPIO_H
#define KWS_RPI_GPIO_H

#include <stddef.h>
#include <stdint.h>

typedef struct gpio {
    int fd; /* -1 where none is wanted */
    int64_t hold_ms;
    int64_t off_at; /* 0 while off */
} gpio_t;

/* Takes the line that `text` names: "17" is BCM line 17 of the 40-pin header, "2:5" line 5 of /dev/gpiochip2, and
 * ",low" after either makes a low level mean on. It starts off. Returns 1, or 0 with the reason in `why`. */
int gpio_open(gpio_t *gpio, const char *text, char *why, size_t why_size);

/* On now, off after hold_ms; again while on: on for longer. */
void gpio_flash(gpio_t *gpio, int64_t now_ms);
void gpio_tick(gpio_t *gpio, int64_t now_ms);

/* Off, and given back. */
void gpio_close(gpio_t *gpio);

#endif
