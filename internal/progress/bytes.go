package progress

import (
	"fmt"
	"strconv"
	"strings"
)

// units are of a thousand.
const units = "kMGTPE"

// Bytes shows a size to people: "512 B", "1.5 MB".
func Bytes(n int64) string {
	const unit = 1000
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	exp := 0
	for m := n / unit; m >= unit; m /= unit {
		exp++
	}
	name := units[exp:exp+1] + "B"
	return BytesIn(n, name) + " " + name
}

// BytesIn shows a size in a unit, such as MB, without naming it.
func BytesIn(n int64, unit string) string {
	if unit == "B" {
		return fmt.Sprint(n)
	}
	v := float64(n)
	for range strings.Index(units, unit[:1]) + 1 {
		v /= 1000
	}
	return fmt.Sprintf("%.1f", v)
}

// ParseBytes reads a size as people write it, such as "500MB" or "1.5 TB", of one
// byte to a million TB.
func ParseBytes(text string) (int64, error) {
	number := strings.TrimRight(text, "kMGTB")
	unit, known := map[string]float64{"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}[text[len(number):]]
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if !known || err != nil || !(n*unit >= 1) || n*unit > 1e18 {
		return 0, fmt.Errorf("%q is not a size such as \"500MB\" or \"20GB\"", text)
	}
	return int64(n * unit), nil
}
