# The config of the package: examples/config/roundhouse.yaml with every key commented out, so that a file that nobody has
# edited does what the program does by itself. cmake -DINPUT=... -DOUTPUT=... -P config.cmake
set(text "# The config of the service roundhouse; roundhouse.yaml(5) explains each key. What is commented out is the default.
# To change a key, take the '#' in front of it away, and the one in front of the line that it is indented under. Then:
#
#   roundhouse config check /etc/roundhouse/roundhouse.yaml && systemctl restart roundhouse
#
# To keep events on disk, set dir of journal to /var/lib/roundhouse/journal. Another directory has to be allowed by a drop-in
# of the unit, too (systemctl edit roundhouse): [Service] ReadWritePaths=/path\n")
file(READ ${INPUT} content)
string(REGEX REPLACE "^(#[^\n]*\n)+" "" content "${content}") # what the example says of itself
string(REGEX REPLACE "\n([^#\n])" "\n#\\1" content "${content}")
file(WRITE ${OUTPUT} "${text}${content}")
