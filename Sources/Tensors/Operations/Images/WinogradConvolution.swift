import CKernels

/// A convolution by Winograd's filtering: 3 × 3 windows one step apart, with a quarter of the multiplications.
///
/// Lavin, Gray, "Fast Algorithms for Convolutional Neural Networks", 2016. In single precision only: the transforms cost
/// about one decimal digit, which those who ask for double precision want to keep.
struct WinogradConvolution {
    private let batch, channels, outputs: Int
    private let window: ck_window

    /// Nil where the direct product is faster, or the only way.
    ///
    /// Few patches do not pay for the transformed filters, which are four times as large; patches that hang over the
    /// edge are computed for nothing.
    init?(dtype: DType, batch: Int, groups: Int, channels: Int, outputs: Int, window: ck_window) {
        let isPlain =
            window.kernel_height == 3 && window.kernel_width == 3 && window.stride_height == 1
            && window.stride_width == 1 && window.dilation_height == 1 && window.dilation_width == 1
            && window.padding_height <= 2 && window.padding_width <= 2
        guard dtype == .float32, groups == 1, isPlain, channels % 16 == 0, outputs % 16 == 0, channels >= 32,
            outputs >= 32
        else { return nil }
        let patches = withUnsafePointer(to: window) { Int(ck_winograd_patches($0, Int64(batch))) }
        let pixels = batch * Int(window.out_height * window.out_width)
        guard patches >= 64, patches * 16 <= pixels * 2 else { return nil }
        self.batch = batch
        self.channels = channels
        self.outputs = outputs
        self.window = window
    }

    func forward(_ x: Tensor, _ w: Tensor, _ bias: Tensor?) -> Tensor {
        let y = Tensor(
            uninitializedChannelsLast: [batch, outputs, Int(window.out_height), Int(window.out_width)],
            dtype: .float32)
        WinogradProduct(window: window, batch: batch, filters: forwardFilters).run(x, w, bias, into: y)
        return y
    }

    /// The same convolution over the gradient, with filters turned around and channels and outputs exchanged.
    func inputGradient(_ gy: Tensor, _ w: Tensor) -> Tensor {
        let gx = Tensor(
            uninitializedChannelsLast: [batch, channels, Int(window.height), Int(window.width)], dtype: .float32)
        var back = window
        back.channels = Int64(outputs)
        (back.height, back.out_height) = (window.out_height, window.height)
        (back.width, back.out_width) = (window.out_width, window.width)
        back.padding_height = 2 - window.padding_height
        back.padding_width = 2 - window.padding_width
        let filters = ck_weights(
            outputs: Int64(channels), tap_rows: 3, tap_columns: 3, channels: Int64(outputs), first: 8,
            output_stride: 9, tap_row_stride: -3, tap_column_stride: -1, channel_stride: Int64(channels * 9))
        WinogradProduct(window: back, batch: batch, filters: filters).run(gy, w, nil, into: gx)
        return gx
    }

    /// Whether the weight's gradient is faster this way: with few channels its transforms cost as much as its products.
    var paysForWeights: Bool { channels >= 64 && outputs >= 64 }

    func weightGradient(_ gy: Tensor, _ x: Tensor, into gw: Tensor) {
        WinogradOuterProduct(window: window, batch: batch, filters: forwardFilters).run(x, gy, into: gw)
    }

    private var forwardFilters: ck_weights {
        ck_weights(
            outputs: Int64(outputs), tap_rows: 3, tap_columns: 3, channels: Int64(channels), first: 0,
            output_stride: Int64(channels * 9), tap_row_stride: 3, tap_column_stride: 1, channel_stride: 9)
    }
}

private let points = 36
private let tile = 14

extension ck_weights {
    fileprivate var blocks: Int {
        let width = Int(ck_product_columns(CK_F32))
        return (Int(outputs) + width - 1) / width
    }
    /// Memory for transformed filters, or for the sums that become their gradient.
    fileprivate func transformed(parts: Int = 1) -> Tensor {
        Tensor(uninitialized: [parts, points, blocks, Int(channels), Int(ck_product_columns(CK_F32))], dtype: .float32)
    }
}

extension Tensor {
    fileprivate var floats: UnsafeMutablePointer<Float> { freshPointer.assumingMemoryBound(to: Float.self) }
}

extension Scratch {
    fileprivate var floats: UnsafeMutablePointer<Float> { pointer.assumingMemoryBound(to: Float.self) }
}

private struct WinogradProduct {
    let window: ck_window
    let batch: Int
    let filters: ck_weights

    /// Tiles of patches a thread takes at a time.
    private static let tilesPerPiece = 4

    func run(_ x: Tensor, _ w: Tensor, _ bias: Tensor?, into y: Tensor) {
        let blocks = filters.blocks, packed = filters.transformed()
        Parallel.forEach(blocks) { block in
            withUnsafePointer(to: filters) { ck_winograd_pack($0, w.floats, Int64(block), packed.floats) }
        }
        withUnsafePointer(to: window) { window in
            let patches = Int(ck_winograd_patches(window, Int64(batch)))
            let tiles = (patches + tile - 1) / tile
            let chunks = (tiles + Self.tilesPerPiece - 1) / Self.tilesPerPiece
            // Few patches, as in the last layers of a network: outputs are shared too.
            let blocksPerPiece = chunks < 16 ? Swift.min(blocks, 2) : blocks
            let shares = (blocks + blocksPerPiece - 1) / blocksPerPiece
            Parallel.forEach(chunks * shares) { piece in
                let chunk = piece % chunks, firstBlock = piece / chunks * blocksPerPiece
                let first = tiles * chunk / chunks * tile
                let last = Swift.min(tiles * (chunk + 1) / chunks * tile, patches)
                let scratch = Scratch(byteCount: 4 * Int(ck_winograd_product_scratch(window, Int64(last - first))))
                ck_winograd_product(
                    window, x.floats, Int64(first), Int64(last), Int64(firstBlock),
                    Int64(Swift.min(firstBlock + blocksPerPiece, blocks)), filters.outputs, packed.floats,
                    bias?.floats, y.floats, scratch.floats)
                withExtendedLifetime(scratch) {}
            }
        }
    }
}

private struct WinogradOuterProduct {
    let window: ck_window
    let batch: Int
    let filters: ck_weights

    /// Channels, and blocks of outputs, a thread takes at a time: their sums stay in the second cache.
    private static let channelsPerPiece = 64, blocksPerPiece = 2

    func run(_ x: Tensor, _ gy: Tensor, into gw: Tensor) {
        let channels = Int(filters.channels), blocks = filters.blocks
        let channelShares = (channels + Self.channelsPerPiece - 1) / Self.channelsPerPiece
        let blockShares = (blocks + Self.blocksPerPiece - 1) / Self.blocksPerPiece
        withUnsafePointer(to: window) { window in
            let patches = Int(ck_winograd_patches(window, Int64(batch)))
            // Where that gives too few pieces, patches are cut as well; by sizes alone (Note [Tiles]).
            let parts = Swift.max(1, Swift.min(8 / (channelShares * blockShares), patches / 64))
            let sums = filters.transformed(parts: parts)
            Parallel.forEach(parts * channelShares * blockShares) { piece in
                let part = piece % parts, share = piece / parts
                let firstChannel = share % channelShares * Self.channelsPerPiece
                let firstBlock = share / channelShares * Self.blocksPerPiece
                let scratch = Scratch(
                    byteCount: 4
                        * Int(
                            ck_winograd_outer_scratch(
                                Int64(Self.channelsPerPiece), Int64(Self.blocksPerPiece) * ck_product_columns(CK_F32))))
                ck_winograd_outer(
                    window, x.floats, gy.floats, filters.outputs, Int64(patches * part / parts),
                    Int64(patches * (part + 1) / parts), Int64(firstChannel),
                    Int64(Swift.min(firstChannel + Self.channelsPerPiece, channels)), Int64(firstBlock),
                    Int64(Swift.min(firstBlock + Self.blocksPerPiece, blocks)),
                    sums.floats + part * sums.elementCount / parts, scratch.floats)
                withExtendedLifetime(scratch) {}
            }
            Parallel.forEach(blocks) { block in
                withUnsafePointer(to: filters) {
                    ck_winograd_unpack($0, Int64(parts), sums.floats, Int64(block), gw.floats)
                }
            }
        }
    }
}
