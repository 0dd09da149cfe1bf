import CKernels

/// What a recurrent layer makes of its input and its state.
package enum RecurrentCell: Sendable {
    /// tanh of the sum of both products.
    case tanh
    /// max(sum, 0).
    case relu
    /// Long short-term memory: gates in the order input, forget, cell, output.
    case lstm
    /// Gated recurrent unit: gates in the order reset, update, new.
    case gru

    /// How many parts of the state's size the products have.
    package var gates: Int {
        switch self {
        case .tanh, .relu: 1
        case .lstm: 4
        case .gru: 3
        }
    }

    fileprivate var kernel: ck_recurrent_cell {
        switch self {
        case .tanh: CK_RNN_TANH
        case .relu: CK_RNN_RELU
        case .lstm: CK_LSTM
        case .gru: CK_GRU
        }
    }
}

extension Tensor {
    /// The states of a recurrent layer at every step, in one operation.
    ///
    /// This tensor, `[steps, batch, gates · size]`, is the product of all inputs with the input weights, bias included.
    /// Each step takes one product of the state with the recurrent weights; the gradient of these weights is one product
    /// over all steps.
    /// - Parameters:
    ///   - cell: The kind of layer.
    ///   - weight: `[gates · size, size]`, the recurrent weights.
    ///   - bias: `[gates · size]`, added to the product of the state.
    ///   - state: `[batch, size]`, the state before the first step.
    ///   - memory: `[batch, size]`, the cell state of an LSTM before the first step.
    ///   - lengths: `[batch]` as `int64`: rows keep their state from that step on, or until it in reverse.
    ///   - isReversed: Goes from the last step to the first.
    /// - Returns: `[steps, batch, size]`; of an LSTM `[steps + 1, batch, size]`, whose last block is the cell state after
    ///   the last step taken.
    package func recurrence(
        _ cell: RecurrentCell, weight: Tensor, bias: Tensor?, state: Tensor, memory: Tensor? = nil,
        lengths: Tensor? = nil, isReversed: Bool = false
    ) -> Tensor {
        let size = weight.shape[-1]
        require(
            rank == 3 && weight.shape == [cell.gates * size, size] && shape[2] == cell.gates * size
                && state.shape == [shape[1], size] && shape[0] > 0 && dtype.isFloatingPoint, "recurrence",
            "\(dtype) \(shape), weight \(weight.shape), state \(state.shape)")
        require(
            weight.dtype == dtype && state.dtype == dtype && bias.map { $0.dtype == dtype } ?? true, "recurrence",
            "\(dtype) with weight \(weight.dtype), state \(state.dtype): convert them to one type")
        if dtype == .bfloat16 {
            return withProductPrecision(.bfloat16) {
                inFloat32 {
                    $0.recurrence(
                        cell, weight: weight.widened(), bias: bias?.widened(), state: state.widened(),
                        memory: memory?.widened(), lengths: lengths, isReversed: isReversed)
                }
            }
        }
        let run = RecurrentRun(
            cell: cell, steps: shape[0], batch: shape[1], size: size, dtype: dtype, isReversed: isReversed,
            weight: weight.detached.contiguous(), state: state.detached.contiguous(),
            memory: (memory ?? state).detached.contiguous(), lengths: lengths?.detached.contiguous())
        let (result, saved, cells) = run.forward(detached.contiguous(), bias?.detached.contiguous())
        let places = (weight: GradientPlace(of: weight), bias: bias.map { GradientPlace(of: $0) })
        let needs = (weight: weight.requiresGradient, bias: bias?.requiresGradient ?? false)
        return result.recorded("recurrence", [self, weight, state, memory, bias].compactMap { $0 }) { gradient in
            let g = gradient.contiguous()
            let found = run.gradients(of: g, result, saved, cells)
            var gradients: [Tensor?] = [
                found.inputs,
                needs.weight ? run.weightGradient(found.products, result, at: places.weight) : nil, found.state,
            ]
            if memory != nil { gradients.append(found.memory) }
            if let place = places.bias {
                let rows = found.products.reshaped(to: [-1, cell.gates * size])
                gradients.append(needs.bias ? place.columnSums(rows) : nil)
            }
            return gradients
        }
    }
}

/// One walk of a layer over the steps, in one direction, and back.
private struct RecurrentRun {
    let cell: RecurrentCell
    let steps, batch, size: Int
    let dtype: DType
    let isReversed: Bool
    let weight, state, memory: Tensor
    let lengths: Tensor?

    private var columns: Int { cell.gates * size }
    /// The width of what is kept of each step for the way back: a GRU keeps one part more than it has gates.
    private var savedColumns: Int { cell == .gru ? 4 * size : columns }
    /// The steps in the order they are taken, each with the one before it.
    private var order: [(step: Int, previous: Int?)] {
        let steps = isReversed ? Array((0..<steps).reversed()) : Array(0..<steps)
        return zip(steps, [nil] + steps.map { $0 }).map { ($0, $1) }
    }

    func forward(_ inputs: Tensor, _ bias: Tensor?) -> (result: Tensor, saved: Tensor, cells: Tensor) {
        let hasCells = cell == .lstm, precision = ProductPrecision.current
        let result = Tensor(uninitialized: [steps + (hasCells ? 1 : 0), batch, size], dtype: dtype)
        let cells = hasCells ? Tensor(uninitialized: [steps, batch, size], dtype: dtype) : result
        let hasOwn = cell == .lstm || cell == .gru
        let saved = hasOwn ? Tensor(uninitialized: [steps, batch, savedColumns], dtype: dtype) : result
        let w = MatrixOperand(pointer: weight.pointer, leadingDimension: size, isTransposed: true)
        for (step, previous) in order {
            let h = previous.map { result.block($0) } ?? state.freshPointer
            let c = previous.map { cells.block($0) } ?? memory.freshPointer
            MatrixProduct.multiply(
                dtype, precision, rows: batch, columns: columns, inner: size,
                MatrixOperand(pointer: h, leadingDimension: size, isTransposed: false), w, bias: bias?.pointer,
                into: saved.block(step), leadingDimension: savedColumns)
            inRows(step) { r, first, last in
                ck_recurrent_step(
                    r, dtype.kernelType, first, last, inputs.block(step), h, c, saved.block(step), result.block(step),
                    cells.block(step))
            }
        }
        if hasCells {
            let last = order.last.map { cells.block($0.step) } ?? memory.freshPointer
            result.block(steps).copyMemory(from: last, byteCount: batch * size * dtype.byteCount)
        }
        return (result, saved, cells)
    }

    /// The gradients of the products of inputs and states at every step, and of what came before the first.
    func gradients(
        of g: Tensor, _ result: Tensor, _ saved: Tensor, _ cells: Tensor
    ) -> (inputs: Tensor, products: Tensor, state: Tensor, memory: Tensor) {
        let gx = Tensor(uninitialized: [steps, batch, columns], dtype: dtype)
        let gp = cell == .gru ? Tensor(uninitialized: [steps, batch, columns], dtype: dtype) : gx
        let carried = Tensor.zeros([batch, size], dtype: dtype)
        // What comes from outside to the cell state after the last step is the last block.
        let carriedCell = cell == .lstm ? g.slice(steps..<(steps + 1)).copied() : carried
        let precision = ProductPrecision.current
        let w = MatrixOperand(pointer: weight.pointer, leadingDimension: size, isTransposed: false)
        for (step, previous) in order.reversed() {
            let h = previous.map { result.block($0) } ?? state.freshPointer
            let c = previous.map { cells.block($0) } ?? memory.freshPointer
            inRows(step) { r, first, last in
                ck_recurrent_gradient(
                    r, dtype.kernelType, first, last, saved.block(step), h, c, cells.block(step), g.block(step),
                    carried.freshPointer, carriedCell.freshPointer, gx.block(step), gp.block(step))
            }
            MatrixProduct.multiply(
                dtype, precision, rows: batch, columns: size, inner: columns,
                MatrixOperand(pointer: gp.block(step), leadingDimension: columns, isTransposed: false), w, beta: 1,
                into: carried.freshPointer, leadingDimension: size)
        }
        return (gx, gp, carried, carriedCell.reshaped(to: [batch, size]))
    }

    /// Σ over steps and rows of gradient · state before the step: the first step's, then all others' in one product.
    func weightGradient(_ gp: Tensor, _ result: Tensor, at place: GradientPlace) -> Tensor {
        place.make(weight.shape, dtype) { target, adds in
            func add(_ count: Int, _ gradients: UnsafeRawPointer, _ states: UnsafeRawPointer, _ adds: Bool) {
                MatrixProduct.multiply(
                    dtype, .current, rows: columns, columns: size, inner: count * batch,
                    MatrixOperand(pointer: gradients, leadingDimension: columns, isTransposed: true),
                    MatrixOperand(pointer: states, leadingDimension: size, isTransposed: false), beta: adds ? 1 : 0,
                    into: target.freshPointer, leadingDimension: size)
            }
            add(1, gp.block(isReversed ? steps - 1 : 0), state.pointer, adds)
            guard steps > 1 else { return }
            let (later, before) = isReversed ? (0, 1) : (1, 0)
            add(steps - 1, gp.block(later), result.block(before), true)
        }
    }

    /// Calls `body` with ranges of rows, on all threads.
    private func inRows(_ step: Int, _ body: (UnsafePointer<ck_recurrence>, Int64, Int64) -> Void) {
        let lengths = lengths.map { $0.pointer.assumingMemoryBound(to: Int64.self) }
        let recurrence = ck_recurrence(cell: cell.kernel, size: Int64(size), step: Int64(step), lengths: lengths)
        withUnsafePointer(to: recurrence) { r in
            // An element takes several exponentials, so fewer of them than elsewhere are worth sharing.
            Parallel.forRanges(batch, grain: Swift.max(1, elementwiseGrain / 16 / size)) {
                body(r, Int64($0.lowerBound), Int64($0.upperBound))
            }
        }
    }
}

extension Tensor {
    /// Where an index of the first dimension of a contiguous tensor starts.
    fileprivate func block(_ index: Int) -> UnsafeMutableRawPointer {
        freshPointer + index * (elementCount / Swift.max(1, shape[0])) * dtype.byteCount
    }
}
