import Tensors

/// A state dictionary does not fit a module: every key that is missing, unexpected or of another shape.
public struct StateMismatch: Error, CustomStringConvertible {
    /// Keys the module has and the dictionary lacks.
    public var missing: [String] = []
    /// Keys the dictionary has and the module lacks.
    public var unexpected: [String] = []
    /// Keys whose shape or type differ, with both.
    public var different: [String] = []

    /// Whether there is nothing to complain about.
    public var isEmpty: Bool { missing.isEmpty && unexpected.isEmpty && different.isEmpty }

    /// All differences, one kind a line.
    public var description: String {
        var lines = ["the saved state is not that of this model:"]
        if !missing.isEmpty { lines.append("  missing from the file: " + missing.joined(separator: ", ")) }
        if !unexpected.isEmpty { lines.append("  not in the model: " + unexpected.joined(separator: ", ")) }
        if !different.isEmpty { lines.append("  different: " + different.joined(separator: "; ")) }
        return lines.joined(separator: "\n")
    }
}

extension Module {
    /// The values of all parameters and persistent buffers by key; copies that later training does not change.
    public final var stateDictionary: StateDictionary {
        var state = StateDictionary()
        walk { key, part in
            switch part {
            case .parameter(let parameter): state[key] = parameter.value.detached.copied()
            case .buffer(let buffer) where buffer.isPersistent: state[key] = buffer.value
            default: break
            }
        }
        return state
    }

    /// Overwrites parameters and buffers with saved values.
    ///
    /// Nothing is changed when the state does not fit. Floating-point values of another type are converted. A tied value may come under any of its keys, as PyTorch saves it
    /// under all of them; its first key counts.
    /// - Parameters:
    ///   - state: Values by key.
    ///   - strict: Whether missing and unexpected keys are errors; different shapes always are.
    /// - Throws: ``StateMismatch`` with every difference.
    public final func load(_ state: StateDictionary, strict: Bool = true) throws {
        var mismatch = StateMismatch()
        var known: Set<String> = []
        var apply: [() -> Void] = []
        let aliases = tiedKeys
        // What a state calls a part that has several keys.
        func find(_ key: String) -> Tensor? {
            if let saved = state[key] { return saved }
            for (later, first) in aliases {
                guard let rest = key.suffix(below: first) else { continue }
                if let saved = state[later + rest] { return saved }
            }
            return nil
        }
        walk { key, part in
            let wanted: (shape: Shape, dtype: DType)
            switch part {
            case .parameter(let parameter): wanted = (parameter.shape, parameter.dtype)
            case .buffer(let buffer) where buffer.isPersistent: wanted = (buffer.value.shape, buffer.value.dtype)
            default: return
            }
            known.insert(key)
            guard let saved = find(key) else { return mismatch.missing.append(key) }
            let isConvertible = saved.dtype.isFloatingPoint && wanted.dtype.isFloatingPoint
            guard saved.shape == wanted.shape, saved.dtype == wanted.dtype || isConvertible else {
                let (here, there) = ("\(wanted.dtype) \(wanted.shape)", "\(saved.dtype) \(saved.shape)")
                return mismatch.different.append("\(key): model \(here), file \(there)")
            }
            switch part {
            case .parameter(let parameter): apply.append { parameter.assign(saved.converted(to: wanted.dtype)) }
            case .buffer(let buffer): apply.append { buffer.value = saved.converted(to: wanted.dtype) }
            case .module: break
            }
        }
        mismatch.unexpected = state.keys.filter { key in
            !known.contains(key)
                && !aliases.contains { later, first in
                    key.suffix(below: later).map { known.contains(first + $0) } ?? false
                }
        }
        if !strict {
            mismatch.missing = []
            mismatch.unexpected = []
        }
        guard mismatch.isEmpty else { throw mismatch }
        for change in apply { change() }
    }
    /// The later keys of parts that were met before, each with the first key.
    private var tiedKeys: [(later: String, first: String)] {
        var tied: [(String, String)] = []
        walk(again: { later, first in if !first.isEmpty { tied.append((later, first)) } }, { _, _ in })
        return tied
    }
}

extension String {
    /// What follows a key of a part in a key of something in it: `.weight` in `body.weight` below `body`.
    fileprivate func suffix(below key: String) -> Substring? {
        guard hasPrefix(key) else { return nil }
        let rest = dropFirst(key.count)
        return rest.isEmpty || rest.first == "." ? rest : nil
    }
}
