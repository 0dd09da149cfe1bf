#pragma once
// The tile that products are made of: 14 rows by two cache lines of columns.
#include "Internal.h"

#define CK_LINE 64
#define CK_TILE_ROWS 14

#define T float
#define N(name) name##_f32
#include "ProductTile.template.h"
#undef T
#undef N
#define T double
#define N(name) name##_f64
#include "ProductTile.template.h"
#undef T
#undef N
