package layout

import (
	"slices"
	"strconv"
	"strings"
)

// A Bound says how large a disk has to be, such as >=200GB.
type Bound string

// split returns a bound's sign and its bytes, which a check has let through.
func (b Bound) split() (sign string, n int64) {
	number := strings.TrimLeft(string(b), "<>=")
	sign = strings.TrimSuffix(string(b), number)
	if len(number) < 3 {
		return sign, 0
	}
	digits, unit := number[:len(number)-2], number[len(number)-2:]
	n, err := strconv.ParseInt(digits, 10, 64)
	factor := map[string]int64{"MB": 1e6, "GB": 1e9, "TB": 1e12}[unit]
	if err != nil || n > 1e6 {
		return sign, 0
	}
	return sign, n * factor
}

// Valid reports whether a bound can be declared.
func (b Bound) Valid() bool {
	sign, n := b.split()
	return n > 0 && slices.Contains([]string{"<", "<=", ">", ">=", "="}, sign)
}

// most is the largest disk within the bound, 0 if there is none.
func (b Bound) most() int64 {
	switch sign, n := b.split(); sign {
	case "<", "<=", "=":
		return n
	}
	return 0
}

// Holds reports whether a disk of so many bytes is within the bound. What is sold
// as 500GB may have a little more or less.
func (b Bound) Holds(size int64) bool {
	sign, n := b.split()
	slack := n / 100
	switch sign {
	case "<":
		return size < n
	case "<=":
		return size <= n+slack
	case ">":
		return size > n
	case ">=":
		return size >= n-slack
	case "=":
		return size >= n-slack && size <= n+slack
	}
	return false
}
