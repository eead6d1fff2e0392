#include "codecs/erp/draft.h"

#include <string.h>

void draft_free(struct draft *draft) {
    bytes_free(&draft->text);
    *draft = (struct draft){0};
}

/* ---- segments ---- */

void draft_begin(struct draft *draft, const char *tag) {
    bytes_text(&draft->text, tag);
    draft->element = 0;
    draft->component = 1;
}

void draft_end(struct draft *draft) {
    bytes_add(&draft->text, (uint8_t[]){DRAFT_TERMINATOR}, 1);
    draft->segments++;
}

static void move_to(struct draft *draft, uint32_t element, uint32_t component) {
    for (; draft->element < element; draft->element++) {
        bytes_add(&draft->text, (uint8_t[]){DRAFT_ELEMENT}, 1);
        draft->component = 1;
    }
    for (; draft->component < component; draft->component++)
        bytes_add(&draft->text, (uint8_t[]){DRAFT_COMPONENT}, 1);
}

static void text_put(struct draft *draft, const char *text, size_t n) {
    uint8_t *to = bytes_grow(&draft->text, n);
    for (size_t i = 0; to && i < n; i++) {
        uint8_t c = (uint8_t)text[i];
        to[i] = c < ' ' || c == 0x7f ? ' ' : c;
    }
}

void draft_put(struct draft *draft, uint32_t element, uint32_t component, const char *text) {
    if (!text || !*text)
        return;
    move_to(draft, element, component);
    text_put(draft, text, strlen(text));
}

void draft_padded(struct draft *draft, uint32_t element, const char *text, size_t width) {
    move_to(draft, element, 1);
    for (size_t n = 0; n < width; n++) {
        size_t length = *text != 0;
        while (length > 0 && ((uint8_t)text[length] & 0xc0) == 0x80)
            length++;
        text_put(draft, length > 0 ? text : " ", length > 0 ? length : 1);
        text += length;
    }
}

void draft_mark(struct draft *draft, uint32_t element, uint8_t mark) {
    move_to(draft, element, 1);
    bytes_add(&draft->text, &mark, 1);
}

bool draft_segment(struct draft *draft, const char *tag, const struct draft_value *values, size_t count) {
    bool said = false;
    for (size_t i = 0; i < count; i++)
        said |= !values[i].fixed && values[i].text && *values[i].text;
    if (!said)
        return false;
    draft_begin(draft, tag);
    for (size_t i = 0; i < count; i++)
        draft_put(draft, values[i].element, values[i].component, values[i].text);
    draft_end(draft);
    return true;
}

/* ---- documents ---- */

/* One character of UTF-8, as bytes of the charset; returns how many it was. */
static size_t character(const uint8_t *from, size_t n, enum draft_charset charset, struct bytes *out) {
    size_t length = 1;
    while (length < n && (from[length] & 0xc0) == 0x80)
        length++;
    if (charset == DRAFT_UTF_8 || *from < 0x80)
        bytes_add(out, from, length);
    else if (charset == DRAFT_LATIN_1 && length == 2 && (*from == 0xc2 || *from == 0xc3))
        bytes_add(out, (uint8_t[]){(uint8_t)((*from & 3) << 6 | (from[1] & 0x3f))}, 1);
    else
        bytes_text(out, length == 2 && *from == 0xc2 && from[1] == 0xa0
                            ? " "
                            : "?"); /* a blank that keeps words together */
    return length;
}

bool draft_is_latin_1(const struct draft *draft) {
    for (size_t i = 0; i < draft->text.length; i++)
        if (draft->text.data[i] > 0xc3)
            return false;
    return true;
}

/* The separators of a document, by their marks. */
struct signs {
    uint8_t of[256]; /* 0: none */
    bool lines;
};

static void sign_put(const struct signs *signs, uint8_t mark, struct bytes *out) {
    bytes_add(out, &signs->of[mark], 1);
    if (mark == DRAFT_TERMINATOR && signs->lines)
        bytes_text(out, "\n");
}

void draft_edifact(const struct draft *draft, enum draft_charset charset, bool repetition, bool lines,
                   struct bytes *out) {
    struct signs signs = {.of = {[DRAFT_COMPONENT] = ':', [DRAFT_ELEMENT] = '+', [DRAFT_TERMINATOR] = '\''},
                          .lines = lines};
    const uint8_t *data = draft->text.data;
    bytes_text(out, repetition ? "UNA:+.?*'" : "UNA:+.? '");
    if (lines)
        bytes_text(out, "\n");
    for (size_t i = 0; i < draft->text.length;) {
        if (signs.of[data[i]]) {
            sign_put(&signs, data[i++], out);
            continue;
        }
        size_t before = out->length;
        size_t n = character(data + i, draft->text.length - i, charset, out);
        uint8_t c = out->failed || out->length == before ? 0 : out->data[before];
        if ((c && strchr("+:'?", c)) || (repetition && c == '*')) {
            out->length = before;
            bytes_add(out, (uint8_t[]){'?', c}, 2);
        }
        i += n;
    }
    out->failed |= draft->text.failed;
}

/* The first of these that no value has, or the first at all. */
static uint8_t free_sign(const char *candidates, bool used[256]) {
    uint8_t sign = (uint8_t)*candidates;
    for (const char *c = candidates; *c; c++)
        if (!used[(uint8_t)*c]) {
            sign = (uint8_t)*c;
            break;
        }
    used[sign] = true;
    return sign;
}

void draft_x12(const struct draft *draft, enum draft_charset charset, bool repetition, bool lines,
               struct bytes *out) {
    struct signs signs = {.lines = lines};
    struct bytes text = {0};
    bool used[256] = {false};
    for (size_t i = 0; i < draft->text.length;)
        i += character(draft->text.data + i, draft->text.length - i, charset, &text);
    for (size_t i = 0; i < text.length; i++)
        used[text.data[i]] = true;
    signs.of[DRAFT_ELEMENT] = free_sign("*|+^", used);
    signs.of[DRAFT_COMPONENT] = free_sign(">:<\\", used);
    signs.of[DRAFT_TERMINATOR] = free_sign("~'`;", used);
    signs.of[DRAFT_REPETITION] = repetition ? free_sign("^!{}", used) : 'U';
    for (size_t i = 0; i < text.length; i++) {
        uint8_t c = text.data[i];
        bool separator = c == signs.of[DRAFT_ELEMENT] || c == signs.of[DRAFT_COMPONENT] ||
                         c == signs.of[DRAFT_TERMINATOR] || (repetition && c == signs.of[DRAFT_REPETITION]);
        if (signs.of[c])
            sign_put(&signs, c, out);
        else
            bytes_add(out, separator ? (const uint8_t *)" " : &c, 1);
    }
    out->failed |= text.failed || draft->text.failed;
    bytes_free(&text);
}
