package expand

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/gitboot/gitboot/image/internal/untrusted"
)

// stripped gives the same tar with n leading folders taken off all names, and
// without what has no more than these: as `tar --strip-components` unpacks it.
// The bytes are a function of the tar's and n.
func stripped(in io.ReadCloser, n int) io.ReadCloser {
	r, w := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.CloseWithError(stripTar(w, in, n))
	}()
	return &stripping{PipeReader: r, in: in, ended: ended}
}

// A stripping is closed when nothing reads its tar any more.
type stripping struct {
	*io.PipeReader
	in    io.ReadCloser
	ended chan struct{}
}

func (s *stripping) Close() error {
	s.PipeReader.Close() // never fails
	<-s.ended
	return s.in.Close()
}

func stripTar(w io.Writer, r io.Reader, n int) error {
	in, out := tar.NewReader(r), tar.NewWriter(w)
	for {
		h, err := in.Next()
		if err == io.EOF {
			if _, err := io.Copy(io.Discard, r); err != nil { // all of the file is verified
				return err
			}
			return out.Close()
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return err
		}
		keep, err := stripHeader(h, n)
		if err != nil {
			return err
		}
		if !keep {
			continue
		}
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.Copy(out, in); err != nil {
			return err
		}
	}
}

// stripHeader reports whether anything is left of an entry's name.
func stripHeader(h *tar.Header, n int) (keep bool, err error) {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return false, nil
	}
	name, target := h.Name, h.Linkname
	if h.Name, keep = stripName(name, n); !keep {
		return false, nil
	}
	if h.Typeflag == tar.TypeLink {
		if h.Linkname, keep = stripName(target, n); !keep {
			return false, &untrusted.UnsupportedError{What: fmt.Sprintf("entry %q", untrusted.Printable(name, 200)), Reason: fmt.Sprintf("strip leaves nothing of its hard link's target %q", untrusted.Printable(target, 200)), Remedy: "take a smaller strip"}
		}
	}
	if h.Typeflag == tar.TypeGNUSparse {
		h.Typeflag = tar.TypeReg // the reader fills in the holes
	}
	h.Format = tar.FormatPAX
	return true, nil
}

func stripName(name string, n int) (rest string, ok bool) {
	var parts []string
	for part := range strings.SplitSeq(name, "/") {
		if part != "" && part != "." {
			parts = append(parts, part)
		}
	}
	if len(parts) <= n {
		return "", false
	}
	rest = strings.Join(parts[n:], "/")
	if strings.HasSuffix(name, "/") {
		rest += "/"
	}
	return rest, true
}
