#pragma once
#include <zlib.h>

// A macro with casts, which Swift does not import. 15 is zlib's largest window; 16 more ask for a gzip header.
static inline int czlib_begin_gunzip(z_stream *stream) { return inflateInit2(stream, 15 + 16); }
