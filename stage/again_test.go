package stage

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	"github.com/gitboot/gitboot/deployment"
)

// Who gives other bytes costs those: others are asked, but not for ever, and nothing of
// what was wrong stays.
func TestFetchedOnceMore(t *testing.T) {
	s, err := Create(filepath.Join(t.TempDir(), "stage"))
	if err != nil {
		t.Fatal(err)
	}
	lied, gone := errors.New("other bytes"), errors.New("gone")
	again := func(err error) bool { return errors.Is(err, lied) }
	for what, c := range map[string]struct {
		fails []error // in turn, after half of it
		again func(error) bool
		asked int
		want  error
	}{
		"an honest one":         {nil, again, 1, nil},
		"a liar":                {[]error{lied}, again, 2, nil},
		"two liars":             {[]error{lied, lied}, again, 3, nil},
		"liars alone":           {[]error{lied, lied, lied, lied}, again, 3, lied},
		"a liar and nobody":     {[]error{lied, gone}, again, 2, gone},
		"nobody":                {[]error{gone}, again, 1, gone},
		"a liar, and no others": {[]error{lied}, nil, 1, lied},
	} {
		t.Run(what, func(t *testing.T) {
			content := []byte("what " + what + " gives")
			o := deployment.Object{SHA256: digest(content), Size: int64(len(content))}
			asked := 0
			open := func(context.Context) (io.ReadCloser, error) {
				asked++
				if asked > len(c.fails) {
					return io.NopCloser(bytes.NewReader(content)), nil
				}
				return io.NopCloser(io.MultiReader(bytes.NewReader(content[:4]), iotest.ErrReader(c.fails[asked-1]))), nil
			}
			err := Fetch(t.Context(), s, Fetched{Object: o, Open: open, Again: c.again}, io.Discard)
			if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) || asked != c.asked {
				t.Errorf("%v, after %d questions", err, asked)
			}
			got, err := os.ReadFile(s.ObjectPath(o))
			if c.want == nil && !bytes.Equal(got, content) || c.want != nil && !errors.Is(err, os.ErrNotExist) {
				t.Errorf("there is %q, %v", got, err)
			}
			if left, err := os.ReadDir(s.Temp()); err != nil || len(left) > 0 {
				t.Errorf("left: %v, %v", left, err)
			}
		})
	}
}

// So it is with a layer that is packed here, whatever its tar looks like by then.
func TestLayerOnceMore(t *testing.T) {
	needTar2sqfs(t)
	lied := errors.New("other bytes")
	content := noise(t, 300_000)
	for what, c := range map[string]struct {
		lies  [][]byte // in turn, each ending with the error
		alone bool
		asked int
	}{
		"an honest one":      {nil, false, 1},
		"the half of it":     {[][]byte{content[:150_000]}, false, 2},
		"what is no tar":     {[][]byte{bytes.Repeat([]byte{7}, 100_000)}, false, 2},
		"liars":              {[][]byte{content[:1000], content[:2000], content[:3000], content[:4000]}, false, 3},
		"no others to ask":   {[][]byte{content[:1000]}, true, 1},
		"no tar, and nobody": {[][]byte{bytes.Repeat([]byte{7}, 100_000)}, true, 1},
	} {
		t.Run(what, func(t *testing.T) {
			s, src, asked := newStage(t), source(content), 0
			src.Again = func(err error) bool { return errors.Is(err, lied) && !c.alone }
			src.Open = func(context.Context) (io.ReadCloser, error) {
				asked++
				if asked > len(c.lies) {
					return io.NopCloser(bytes.NewReader(content)), nil
				}
				return io.NopCloser(io.MultiReader(bytes.NewReader(c.lies[asked-1]), iotest.ErrReader(lied))), nil
			}
			o, err := s.AddLayer(t.Context(), src)
			if fails := len(c.lies) >= c.asked; asked != c.asked || fails != errors.Is(err, lied) || !fails && err != nil {
				t.Errorf("%v, after %d questions", err, asked)
			}
			if _, serr := os.Stat(s.ObjectPath(o)); err == nil && serr != nil {
				t.Error(serr)
			}
			if left := files(t, s, "tmp"); left != nil {
				t.Errorf("left: %v", left)
			}
		})
	}
}
