/* x12_parts.h: the segments and loops that transaction sets of X12 have in common.
 * Owner: the writer. Thread: the caller's.
 * Nothing blocks.
 * Each writes what the message says, in the order of the standard, and nothing if it says nothing.
 * Running out of memory is kept in the draft. */
#pragma once

#include "codecs/erp/edi_parts.h"

const char *x12_date(struct edi_out *out, const Roundhouse__Erp__V1__Moment *moment);
const char *x12_time(struct edi_out *out, const Roundhouse__Erp__V1__Moment *moment);
const char *x12_zone(const Roundhouse__Erp__V1__Moment *moment);
void x12_moment(struct edi_out *out, const char *qualifier, const Roundhouse__Erp__V1__Moment *moment);
/* One DTM where both ends are the same, else one for each. */
void x12_period(struct edi_out *out, const Roundhouse__Erp__V1__Period *period);
bool x12_same_date(const Roundhouse__Erp__V1__Period *period);
/* REF of all but the one at `but`. */
void x12_references(struct edi_out *out, Roundhouse__Erp__V1__Reference **references, size_t count,
                    size_t but);
/* The loop N1: N2, N3, N4, REF, PER. */
void x12_party(struct edi_out *out, const char *qualifier, const Roundhouse__Erp__V1__Party *party);
/* Pairs of a qualifier and a number, from this element on, `most` of them. */
void x12_item_ids(struct edi_out *out, const Roundhouse__Erp__V1__Item *item, uint32_t element, size_t most);
void x12_descriptions(struct edi_out *out, const Roundhouse__Erp__V1__Item *item);
const char *x12_price_type(struct edi_out *out, const Roundhouse__Erp__V1__Price *price);
void x12_allowances(struct edi_out *out, Roundhouse__Erp__V1__Allowance **allowances, size_t count);
void x12_taxes(struct edi_out *out, Roundhouse__Erp__V1__Tax **taxes, size_t count);
void x12_schedules(struct edi_out *out, Roundhouse__Erp__V1__Schedule **schedules, size_t count);
/* N9 and MSG for each. */
void x12_messages(struct edi_out *out, Roundhouse__Erp__V1__Text **texts, size_t count);
/* As a number with two decimals that are not written: 2554.38 is 255438. Nothing for what has more. */
const char *x12_implied(struct edi_out *out, const Roundhouse__Erp__V1__Amount *amount);
