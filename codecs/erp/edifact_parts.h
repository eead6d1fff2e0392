/* edifact_parts.h: the segment groups that messages of EDIFACT have in common.
 * Owner: the writer. Thread: the caller's.
 * Nothing blocks.
 * Each writes what the message says, in the order of the directories, and nothing if it says nothing.
 * Running out of memory is kept in the draft. */
#pragma once

#include "codecs/erp/edi_parts.h"

/* DTM with a format that has as much of the time as is known. */
void edifact_moment(struct edi_out *out, const char *qualifier, const Roundhouse__Erp__V1__Moment *moment);
/* One DTM where both ends are the same, else DTM+64 and DTM+63. */
void edifact_period(struct edi_out *out, const char *both, const Roundhouse__Erp__V1__Period *period);
void edifact_text(struct edi_out *out, const Roundhouse__Erp__V1__Text *text);
void edifact_references(struct edi_out *out, Roundhouse__Erp__V1__Reference **references, size_t count);
/* NAD, LOC, FII of these accounts, RFF, CTA, COM. */
void edifact_party(struct edi_out *out, const char *qualifier, const Roundhouse__Erp__V1__Party *party,
                   Roundhouse__Erp__V1__Identifier **accounts, size_t account_count);
/* LIN, PIA, IMD, MEA; `substitute` are numbers that stand in PIA+3. */
void edifact_item(struct edi_out *out, const char *line, const char *action,
                  const Roundhouse__Erp__V1__Item *item, const Roundhouse__Erp__V1__Item *substitute);
void edifact_origin(struct edi_out *out, const Roundhouse__Erp__V1__Item *item); /* ALI, behind QTY */
void edifact_quantity(struct edi_out *out, const char *qualifier,
                      const Roundhouse__Erp__V1__Quantity *quantity);
void edifact_amount(struct edi_out *out, const char *qualifier, const Roundhouse__Erp__V1__Amount *amount);
void edifact_price(struct edi_out *out, const Roundhouse__Erp__V1__Price *price);
void edifact_currency(struct edi_out *out, const char *use); /* CUX */
/* LOC+7 of those with a place; SCC of the others. */
void edifact_places(struct edi_out *out, Roundhouse__Erp__V1__Schedule **schedules, size_t count);
void edifact_schedules(struct edi_out *out, Roundhouse__Erp__V1__Schedule **schedules, size_t count);
void edifact_taxes(struct edi_out *out, Roundhouse__Erp__V1__Tax **taxes, size_t count);
void edifact_allowances(struct edi_out *out, Roundhouse__Erp__V1__Allowance **allowances, size_t count);
void edifact_totals(struct edi_out *out, const char *payable, const Roundhouse__Erp__V1__Totals *totals);
/* CNT+2; where a message of the same format did not count its lines, nothing. */
void edifact_count(struct edi_out *out, size_t lines, bool counted);
