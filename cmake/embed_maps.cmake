# Writes OUTPUT, a C file with the text of every map under SOURCE_DIR: codecs/erp/map_files.h. A script, so that only what
# has changed is written again.
file(GLOB_RECURSE maps RELATIVE ${SOURCE_DIR} ${SOURCE_DIR}/*.map)
list(SORT maps)
set(texts "")
set(entries "")
set(number 0)
foreach(map IN LISTS maps)
    file(READ ${SOURCE_DIR}/${map} bytes HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
    string(APPEND texts "static const char text_${number}[] = {${bytes}0};\n")
    string(APPEND entries "    {\"${map}\", text_${number}, sizeof text_${number} - 1},\n")
    math(EXPR number "${number} + 1")
endforeach()
file(WRITE ${OUTPUT} "#include \"codecs/erp/map_files.h\"\n\n${texts}\n"
     "const struct map_file map_files[] = {\n${entries}    {0, 0, 0},\n};\nconst size_t map_file_count = ${number};\n")
