#include "codecs/erp/map.h"

#include "codecs/erp/map_build.h"
#include "core/base/embedded.h"
#include "core/base/heap.h"

#include <stdio.h>
#include <string.h>

/* The maps that come with Roundhouse. */
extern const struct embedded_file erp_map_files[];

/* One file: its text, its lines, and the map that it is, once somebody has asked for it. */
struct file {
    char *name, *text; /* own; text is NULL for those of the executable */
    struct map_lines lines;
    struct map *map;
    char format[16];
    bool tried; /* compiled, or it can not be */
    struct map_error error;
};

/* A message that a file is for. */
struct entry {
    struct file *file;
    struct map_word name, variant;
};

struct map_library {
    struct map_fields *fields; /* owns */
    size_t field_count;
    struct file **files; /* owns; the older ones first */
    size_t file_count, file_capacity;
    struct entry *entries; /* the same */
    size_t entry_count, entry_capacity;
};

static void file_free(struct file *file) {
    if (!file)
        return;
    map_free(file->map);
    map_lines_free(&file->lines);
    heap_give(file->name);
    heap_give(file->text);
    heap_give(file);
}

static char *text_copy(const char *text, size_t n) {
    char *copy = heap_take_raw(n + 1);
    if (copy) {
        memcpy(copy, text, n);
        copy[n] = 0;
    }
    return copy;
}

/* map FORMAT NAME...: NAME or NAME[VARIANT] */
static bool entry_add(struct map_library *library, struct file *file, const struct map_word *word) {
    const char *open = memchr(word->text, '[', word->length);
    struct entry entry = {.file = file, .name = *word};
    if (open) {
        entry.name.length = (size_t)(open - word->text);
        entry.variant = (struct map_word){open + 1, word->length - entry.name.length - 2};
    }
    size_t wanted = library->entry_count + 1;
    if (heap_grow((void **)&library->entries, &library->entry_capacity, wanted, sizeof entry) < 0)
        return false;
    library->entries[library->entry_count++] = entry;
    return true;
}

static bool entries_add(struct map_library *library, struct file *file, struct map_error *error) {
    const struct map_lines *lines = &file->lines;
    for (size_t i = 0; i < lines->count; i++) {
        const struct map_line *line = &lines->lines[i];
        if (line->indent || !map_word_is(map_line_word(lines, line, 0), "map"))
            continue;
        const struct map_word *format = map_line_word(lines, line, 1);
        if (line->words < 3 || format->length >= sizeof file->format || file->format[0])
            return map_fail(error, file->name, line->number, "one line `map FORMAT NAME...` begins a map");
        memcpy(file->format, format->text, format->length);
        for (uint32_t k = 2; k < line->words; k++)
            if (!entry_add(library, file, map_line_word(lines, line, k)))
                return map_fail_memory(error);
    }
    return true;
}

/* The text is borrowed when `owned` is false. */
static bool file_add(struct map_library *library, const char *name, const char *text, size_t length,
                     bool owned, struct map_error *error) {
    struct file *file = heap_take(sizeof *file);
    if (!file)
        return map_fail_memory(error);
    file->name = text_copy(name, strlen(name));
    file->text = owned ? text_copy(text, length) : NULL;
    size_t wanted = library->file_count + 1;
    if (!file->name || (owned && !file->text) ||
        heap_grow((void **)&library->files, &library->file_capacity, wanted, sizeof(struct file *)) < 0) {
        file_free(file);
        return map_fail_memory(error);
    }
    if (!map_lines_read(&file->lines, file->name, owned ? file->text : text, length, error)) {
        file_free(file);
        return false;
    }
    library->files[library->file_count++] = file;
    size_t entries = library->entry_count;
    if (entries_add(library, file, error))
        return true;
    library->entry_count = entries;
    library->file_count--;
    file_free(file);
    return false;
}

struct map_library *map_library_new(const struct map_fields *fields, size_t count) {
    struct map_library *library = heap_take(sizeof *library);
    if (!library)
        return NULL;
    library->fields = heap_take((count + 1) * sizeof *fields);
    bool good = library->fields != NULL;
    if (good && count)
        memcpy(library->fields, fields, count * sizeof *fields);
    library->field_count = count;
    struct map_error error = {{0}};
    for (const struct embedded_file *file = erp_map_files; good && file->name != NULL; file++)
        good = file_add(library, file->name, file->text, file->length, false, &error);
    if (good)
        return library;
    map_library_free(library);
    return NULL;
}

void map_library_free(struct map_library *library) {
    if (!library)
        return;
    for (size_t i = 0; i < library->file_count; i++)
        file_free(library->files[i]);
    heap_give(library->files);
    heap_give(library->entries);
    heap_give(library->fields);
    heap_give(library);
}

bool map_library_add(struct map_library *library, const char *file, const char *text, size_t length,
                     struct map_error *error) {
    return file_add(library, file, text, length, true, error);
}

/* By its name, with or without .map at the end; the newest first. */
static const struct map_lines *included(void *context, struct map_word name) {
    const struct map_library *library = context;
    for (size_t i = library->file_count; i-- > 0;) {
        const char *file = library->files[i]->name;
        if (strncmp(file, name.text, name.length) == 0 &&
            (!file[name.length] || strcmp(file + name.length, ".map") == 0))
            return &library->files[i]->lines;
    }
    return NULL;
}

static const struct map *file_compile(struct map_library *library, struct file *file,
                                      struct map_error *error) {
    const struct map_fields *fields = NULL;
    for (size_t i = 0; i < library->field_count; i++)
        if (strcmp(library->fields[i].format, file->format) == 0)
            fields = &library->fields[i];
    if (!file->tried)
        file->map = map_build(&file->lines, file->format, fields, included, library, &file->error);
    file->tried = true;
    if (!file->map)
        *error = file->error;
    return file->map;
}

bool map_library_compile(struct map_library *library, struct map_error *error) {
    for (size_t i = 0; i < library->file_count; i++)
        if (library->files[i]->format[0] && !file_compile(library, library->files[i], error))
            return false;
    return true;
}

const struct map *map_find(struct map_library *library, const char *format, const char *name,
                           const char *variant, struct map_error *error) {
    error->text[0] = 0;
    for (bool any = false;; any = true) {
        for (size_t i = library->entry_count; i-- > 0;) {
            const struct entry *entry = &library->entries[i];
            if (strcmp(entry->file->format, format) == 0 && map_word_is(&entry->name, name) &&
                map_word_is(&entry->variant, any ? "" : variant))
                return file_compile(library, entry->file, error);
        }
        if (any)
            return NULL;
    }
}

const char *map_event(const struct map *map) {
    return map->event->short_name;
}
