import Lightning

/// Grey images side by side, row by row, with a dark line between them.
///
/// - Parameters:
///   - images: `[count, height, width]`.
///   - columns: Images in a row.
///   - magnification: How many pixels wide and high each pixel becomes.
/// - Returns: `[rows · (height + 1) · magnification, columns · (width + 1) · magnification]`; places without an image are
///   dark.
func imageGrid(_ images: Tensor, columns: Int, magnification: Int) -> Tensor {
    let (count, height, width) = (images.shape[0], images.shape[1], images.shape[2])
    let rows = (count + columns - 1) / columns
    let (high, wide) = (rows * (height + 1), columns * (width + 1))
    let values = images.doubles
    var pixels = [Float](repeating: 0, count: high * wide)
    for index in 0..<count {
        let (top, left) = (index / columns * (height + 1), index % columns * (width + 1))
        for y in 0..<height {
            for x in 0..<width { pixels[(top + y) * wide + left + x] = Float(values[(index * height + y) * width + x]) }
        }
    }
    return Tensor(pixels, shape: [high, 1, wide, 1])
        .expanded(to: [high, magnification, wide, magnification])
        .reshaped(to: [high * magnification, wide * magnification])
}
