package progress

import (
	"fmt"
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
