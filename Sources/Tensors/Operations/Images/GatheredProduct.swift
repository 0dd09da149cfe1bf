import CKernels

/// One axis of a gathered product: grid point p reads source pixels p · step + first + tap · spacing, and stands for
/// target pixel targetFirst + p · targetStep.
struct GatherAxis {
    let points, step, taps, first, spacing, targetFirst, targetStep: Int
    /// The kernel's tap that comes last, and the distance between taps that are used.
    let lastTap, tapStep: Int
}

/// An image tensor, channels last or plane by plane, and how many of its channels one group has.
struct ImageMemory {
    let tensor: Tensor
    let channels: Int
    let isPlanar: Bool

    init(_ tensor: Tensor, channels: Int, isPlanar: Bool = false) {
        self.tensor = tensor
        self.channels = channels
        self.isPlanar = isPlanar
    }

    var height: Int64 { Int64(tensor.shape[2]) }
    var width: Int64 { Int64(tensor.shape[3]) }
    /// The distance between neighbouring pixels.
    var pitch: Int64 { Int64(tensor.shape[1]) }

    func pointer(group: Int) -> UnsafeMutableRawPointer {
        tensor.freshPointer + group * channels * tensor.dtype.byteCount
    }
}

extension ck_gather {
    fileprivate init(_ rows: GatherAxis, _ columns: GatherAxis, _ source: ImageMemory) {
        self.init(
            height: source.height, width: source.width, pitch: source.pitch, channels: Int64(source.channels),
            grid_height: Int64(rows.points), grid_width: Int64(columns.points), row_step: Int64(rows.step),
            column_step: Int64(columns.step), tap_rows: Int64(rows.taps), first_row: Int64(rows.first),
            row_spacing: Int64(rows.spacing), tap_columns: Int64(columns.taps), first_column: Int64(columns.first),
            column_spacing: Int64(columns.spacing), is_planar: source.isPlanar ? 1 : 0)
    }
}

extension ck_weights {
    /// Elements of a window.
    fileprivate var depth: Int { Int(tap_rows * tap_columns * channels) }

    /// How many blocks the outputs fill, the last one perhaps not wholly.
    fileprivate func blocks(_ dtype: DType) -> Int {
        let width = Int(ck_product_columns(dtype.kernelType))
        return (Int(outputs) + width - 1) / width
    }
}

/// Windows times weights, written to the pixels of an image.
struct GatheredProduct {
    let dtype: DType
    let batch: Int
    let rows, columns: GatherAxis
    let source, target: ImageMemory

    /// Grid points a thread takes at a time, in tiles of 14; their results stay in the second cache.
    private static let pointsPerPiece = 16 * 14

    func run(weights: ck_weights, _ w: Tensor, _ bias: Tensor?, group: Int) {
        let points = batch * rows.points * columns.points
        let blocks = weights.blocks(dtype)
        let packed = pack(weights, w, blocks)
        let type = dtype.kernelType
        let placement = ck_placement(
            height: target.height, width: target.width, pitch: target.pitch, first_row: Int64(rows.targetFirst),
            row_step: Int64(rows.targetStep), first_column: Int64(columns.targetFirst),
            column_step: Int64(columns.targetStep))
        let gather = ck_gather(rows, columns, source)
        // Few points, as in the last layers of a network: outputs are shared too, so that all threads have work.
        let chunks = (points + Self.pointsPerPiece - 1) / Self.pointsPerPiece
        let blocksPerPiece = chunks < 16 ? Swift.min(blocks, 4) : blocks
        let shares = (blocks + blocksPerPiece - 1) / blocksPerPiece
        Parallel.forEach(chunks * shares) { piece in
            let firstPoint = piece % chunks * Self.pointsPerPiece, firstBlock = piece / chunks * blocksPerPiece
            withUnsafePointer(to: gather) { gather in
                withUnsafePointer(to: placement) { placement in
                    ck_gather_product(
                        type, gather, source.pointer(group: group), Int64(firstPoint),
                        Int64(Swift.min(firstPoint + Self.pointsPerPiece, points)), Int64(firstBlock),
                        Int64(Swift.min(firstBlock + blocksPerPiece, blocks)), weights.outputs, packed.pointer,
                        bias.map { $0.pointer + group * target.channels * dtype.byteCount }, placement,
                        target.pointer(group: group))
                }
            }
        }
    }

    private func pack(_ weights: ck_weights, _ w: Tensor, _ blocks: Int) -> Tensor {
        let packed = Tensor(
            uninitialized: [blocks, weights.depth, Int(ck_product_columns(dtype.kernelType))], dtype: dtype)
        Parallel.forEach(blocks) { block in
            withUnsafePointer(to: weights) {
                ck_pack_weights(dtype.kernelType, $0, w.pointer, Int64(block), packed.freshPointer)
            }
        }
        return packed
    }
}

/// The outer product of windows and the gradient of an image, summed over pixels.
struct GatheredOuterProduct {
    let dtype: DType
    let batch: Int
    let rows, columns: GatherAxis
    let source, gradient: ImageMemory

    func run(weights: ck_weights, into gw: Tensor, group: Int) {
        let points = batch * rows.points * columns.points
        if points == 0 { return ck_fill(dtype.kernelType, Int64(gw.elementCount), 0, gw.freshPointer) }
        let depth = weights.depth, outputs = Int(weights.outputs)
        let blocks = weights.blocks(dtype), width = Int(ck_product_columns(dtype.kernelType))
        let pieces = OuterPieces(
            points: points, depth: depth, blocks: blocks, deepest: Int(ck_panel_depth(dtype.kernelType)))
        let pitch = blocks * width
        let sums = Tensor(uninitialized: [pieces.parts, depth, pitch], dtype: dtype)
        let type = dtype.kernelType, size = dtype.byteCount
        let gather = ck_gather(rows, columns, source)
        Parallel.forEach(pieces.count) { index in
            let piece = pieces[index]
            let target = sums.freshPointer + piece.part * depth * pitch * size
            withUnsafePointer(to: gather) {
                ck_gather_outer(
                    type, $0, source.pointer(group: group), Int64(piece.points.lowerBound),
                    Int64(piece.points.upperBound), Int64(piece.depth.lowerBound), Int64(piece.depth.upperBound),
                    Int64(piece.blocks.lowerBound * width), Int64(Swift.min(piece.blocks.upperBound * width, outputs)),
                    gradient.pointer(group: group), gradient.pitch, target, Int64(pitch))
            }
        }
        Parallel.forEach(blocks) { block in
            withUnsafePointer(to: weights) {
                ck_unpack_weights(
                    type, $0, Int64(pieces.parts), sums.pointer, Int64(pitch), Int64(block), gw.freshPointer)
            }
        }
    }
}

/// How an outer product is cut: by elements of the window and by outputs.
///
/// When that gives too few pieces it is cut by points as well; their parts are added in order afterwards. All by sizes
/// alone (Note [Tiles]).
private struct OuterPieces {
    let points, depth, blocks: Int
    let tiles, parts, slices, shares: Int
    private let tile = 14
    private let blocksPerShare = 4

    init(points: Int, depth: Int, blocks: Int, deepest: Int) {
        self.points = points
        self.depth = depth
        self.blocks = blocks
        tiles = (depth + tile - 1) / tile
        slices = (tiles + deepest / tile - 1) / (deepest / tile)
        shares = (blocks + blocksPerShare - 1) / blocksPerShare
        parts = Swift.max(1, Swift.min(16 / (slices * shares), points / 1024))
    }

    var count: Int { parts * slices * shares }

    subscript(index: Int) -> (part: Int, points: Range<Int>, depth: Range<Int>, blocks: Range<Int>) {
        let part = index % parts, slice = index / parts % slices, share = index / (parts * slices)
        // Slices of whole tiles, as even as can be.
        return (
            part, cut(points, part, parts),
            (tiles * slice / slices * tile)..<Swift.min(tiles * (slice + 1) / slices * tile, depth),
            cut(blocks, share, shares)
        )
    }

    private func cut(_ total: Int, _ index: Int, _ count: Int) -> Range<Int> {
        (total * index / count)..<(total * (index + 1) / count)
    }
}
