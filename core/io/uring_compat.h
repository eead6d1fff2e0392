/* uring_compat.h: what kernels since 6.1 understand and the headers of liburing 2.3 may lack, by number.
 * Owner: core/io; no state.
 * Any thread may call the two questions about the kernel.
 * Nothing blocks.
 * The layouts that the numbers apply to are held by static asserts: with other headers this does not build,
 * instead of misbehaving. */
#pragma once

#include <liburing.h> /* first: it and <linux/io_uring.h> share an include guard */

#include "core/io/io.h"

#include <assert.h>

#ifndef IORING_SETUP_SINGLE_ISSUER
#define IORING_SETUP_SINGLE_ISSUER (1U << 12) /* 6.0 */
#endif
#ifndef IORING_SETUP_DEFER_TASKRUN
#define IORING_SETUP_DEFER_TASKRUN (1U << 13) /* 6.1 */
#endif
#define URING_REGISTER_ENABLE_RINGS                                                                          \
    12u /* 5.10; liburing 2.3 declares a wrapper that its shared library does not export */

/* The checker finds the two sides equal, which is what is asserted. NOLINTBEGIN(misc-redundant-expression) */
static_assert(IORING_SETUP_SINGLE_ISSUER == 1U << 12 && IORING_SETUP_DEFER_TASKRUN == 1U << 13,
              "the kernel's numbers");
static_assert(IORING_REGISTER_ENABLE_RINGS == URING_REGISTER_ENABLE_RINGS, "the kernel's number");
static_assert(IORING_SETUP_TASKRUN_FLAG == 1U << 9 && IORING_SETUP_SUBMIT_ALL == 1U << 7,
              "the kernel's numbers");
static_assert(IORING_RECV_MULTISHOT == 1U << 1 && IORING_ACCEPT_MULTISHOT == 1U << 0, "the kernel's numbers");
static_assert(sizeof(struct io_uring_sqe) == 64 && sizeof(struct io_uring_cqe) == 16, "the kernel's entries");
static_assert(sizeof(struct io_uring_params) == 120 && sizeof(struct io_uring_buf_reg) == 40,
              "the kernel's arguments");
static_assert(sizeof(struct io_uring_buf) == 16 && sizeof(struct io_uring_getevents_arg) == 24,
              "the kernel's arguments");
/* NOLINTEND(misc-redundant-expression) */

/* The running kernel's version, 0.0 when it can not be told. */
void uring_kernel(unsigned *major, unsigned *minor);
/* 6.6 or newer: multishot receives with ring-provided buffers are used. */
bool uring_kernel_multishot(void);

/* io_create for the io_uring body, telling in *step (a static text) what failed. */
int uring_create_at(struct io **out, const struct io_config *config, const char **step) MUST_USE;
