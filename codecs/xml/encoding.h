/* encoding.h: encodings of one byte a character that the parser does not know by itself: Windows-1252 and
 * ISO 8859-15. UTF-8, UTF-16, ISO 8859-1 and ASCII it knows.
 * Owner: nobody (a pure function). Thread: any.
 * Nothing blocks or allocates.
 * Fails by 0 (XML_STATUS_ERROR): the name is none of these; the parser then refuses the document. */
#pragma once

#include <expat.h>

/* For XML_SetUnknownEncodingHandler. */
int xml_encoding(void *context, const char *name, XML_Encoding *encoding);
