package kernel

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"
)

func packed(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// A kernel that is packed is stored unpacked, any other as it is; what is cut short is
// none.
func TestUnpacked(t *testing.T) {
	const image = "MZ an Image"
	for what, c := range map[string]struct{ file, want string }{
		"plain": {image, image}, "packed": {packed(t, image), image}, "empty": {"", ""}, "one byte": {"\x1f", "\x1f"},
	} {
		r, err := unpacked(strings.NewReader(c.file))
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != c.want {
			t.Errorf("%s: %q, %v", what, got, err)
		}
	}
	cut := packed(t, strings.Repeat(image, 100))
	r, err := unpacked(strings.NewReader(cut[:len(cut)-9]))
	if err == nil {
		_, err = io.ReadAll(r)
	}
	if err == nil {
		t.Error("half a kernel is stored")
	}
	if _, err := io.Copy(io.Discard, &bounded{strings.NewReader("12345"), 4}); !errors.Is(err, errLarge) {
		t.Errorf("more than the bound: %v", err)
	}
}
