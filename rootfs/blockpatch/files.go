package blockpatch

import (
	"strings"

	"github.com/gitboot/gitboot/rootfs"
)

// A span is one block of an older file, which holds so much content.
type span struct {
	piece
	holds  int64
	shared bool
}

// files are those of older file systems, by path and by what paths have in common where
// versions differ.
type files struct {
	spans map[string][]span
	alike map[string][]string
}

func filesOf(older []*rootfs.Reader) (*files, error) {
	f := &files{map[string][]span{}, map[string][]string{}}
	for n, r := range older {
		err := r.Spans(func(name string, spans []rootfs.Span) error {
			list := make([]span, len(spans))
			for i, s := range spans {
				list[i] = span{piece{n, s.Stored}, int64(s.At) + int64(s.Length), s.Shared}
			}
			if _, again := f.spans[name]; !again {
				plain := unversioned(name)
				f.alike[plain] = append(f.alike[plain], name)
			}
			f.spans[name] = list
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return f, nil
}

// unversioned is a path in which each number is the same.
func unversioned(name string) string {
	var b strings.Builder
	digit := false
	for _, c := range name {
		if is := '0' <= c && c <= '9'; !is {
			b.WriteRune(c)
			digit = false
		} else if !digit {
			b.WriteByte('0')
			digit = true
		}
	}
	return b.String()
}

// like finds what a file was: the one of its path, or the one that has most in common
// with it of those that differ in numbers.
func (f *files) like(name string) []span {
	if spans, same := f.spans[name]; same {
		return spans
	}
	best, most := "", -1
	for _, other := range f.alike[unversioned(name)] {
		if n := common(name, other); n > most {
			best, most = other, n
		}
	}
	return f.spans[best]
}

// common is how long two names' beginnings and ends are that are the same.
func common(a, b string) (n int) {
	short := min(len(a), len(b))
	for n < short && a[n] == b[n] {
		n++
	}
	for k := 1; k <= short-n && a[len(a)-k] == b[len(b)-k]; k++ {
		n++
	}
	return n
}

// near are the blocks of what a file was that lie where its blocks from first on and
// before end do, of so many, and what lies within reach of them.
func near(was []span, first, end, of int) (list []span) {
	const around = reach / (128 << 10)
	from, to := first*len(was)/of-around, (end*len(was)+of-1)/of+around
	for _, s := range was[max(from, 0):min(max(to, 0), len(was))] {
		if s.Size > 0 {
			list = append(list, s)
		}
	}
	return list
}
