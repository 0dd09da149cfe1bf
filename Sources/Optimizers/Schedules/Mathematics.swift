import Foundation

func power(_ base: Double, _ exponent: Int) -> Double { Foundation.pow(base, Double(exponent)) }
func cosine(_ x: Double) -> Double { Foundation.cos(x) }
