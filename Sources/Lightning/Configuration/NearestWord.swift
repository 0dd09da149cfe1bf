/// Finds what the user meant by a misspelt key or value.
enum NearestWord {
    /// The candidate nearest to the word, if one is near enough to be worth suggesting.
    ///
    /// Case, `_` and `-` do not count, so `max_epochs` finds `maxEpochs`. One typing error is allowed for every three
    /// letters, and always one.
    static func of(_ word: String, among candidates: some Sequence<String>) -> String? {
        let letters = normalized(word)
        var best: (candidate: String, distance: Int)?
        for candidate in candidates where candidate != word {
            let distance = distance(letters, normalized(candidate))
            guard distance <= max(1, letters.count / 3), distance < max(letters.count, 1) else { continue }
            if best.map({ distance < $0.distance }) ?? true { best = (candidate, distance) }
        }
        return best?.candidate
    }

    private static func normalized(_ word: String) -> [Character] {
        Array(word.lowercased().filter { $0 != "_" && $0 != "-" })
    }

    /// Insertions, deletions, substitutions and swaps of neighbours that turn one word into the other (Damerau's
    /// distance in its optimal string alignment form).
    private static func distance(_ a: [Character], _ b: [Character]) -> Int {
        var beforeLast: [Int] = []
        var last = Array(0...b.count)
        for i in a.indices {
            var row = [i + 1]
            for j in b.indices {
                var cost = min(last[j] + (a[i] == b[j] ? 0 : 1), last[j + 1] + 1, row[j] + 1)
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { cost = min(cost, beforeLast[j - 1] + 1) }
                row.append(cost)
            }
            (beforeLast, last) = (last, row)
        }
        return last[b.count]
    }
}
