# The documents of the package, in the folders of the tree, so that links from one to the other lead somewhere; links to what
# only the source has become text. cmake -DSOURCE=... -DOUTPUT=... -P documents.cmake
file(GLOB documents RELATIVE ${SOURCE} ${SOURCE}/README.md ${SOURCE}/docs/*.md ${SOURCE}/docs/decisions/*.md)
file(REMOVE_RECURSE ${OUTPUT})
foreach(document IN LISTS documents)
    file(READ ${SOURCE}/${document} content)
    string(REGEX REPLACE "\\[((core|bench)/[^][]*)\\]\\([^)]*\\)" "\\1" content "${content}")
    string(REGEX REPLACE "\\[([^][]*)\\]\\((\\.\\./)*((core|bench)/[^)#]*)[^)]*\\)" "\\1 (\\3 of the source)" content "${content}")
    file(WRITE ${OUTPUT}/${document} "${content}")
endforeach()
