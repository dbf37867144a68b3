package presigned

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/tests/need"
)

func signature(n string) Signature {
	return Signature{Body: strings.Repeat(n, 64), Deployment: strings.Repeat("d", 64), Stub: []byte("stub"), Signature: []byte("signature")}
}

// What was got is kept as long as its deployment stays, and is of one program alone.
func TestFolder(t *testing.T) {
	f := Folder(filepath.Join(t.TempDir(), "signed"))
	one, two := signature("1"), signature("2")
	two.Deployment = strings.Repeat("e", 64)
	if s, err := f.Find(one.Body); s != nil || err != nil {
		t.Fatalf("%v, %v", s, err)
	}
	need.Done(t, f.Drop(func(string) bool { return false }))
	need.Done(t, f.Keep(one))
	need.Done(t, f.Keep(two))
	s, err := f.Find(one.Body)
	need.Done(t, err)
	one.Version = version
	if !reflect.DeepEqual(*s, one) {
		t.Errorf("%+v", s)
	}
	need.Done(t, os.Rename(f.file(one.Body), f.file(signature("3").Body)))
	if _, err := f.Find(signature("3").Body); err == nil || !strings.Contains(err.Error(), "of another program") {
		t.Errorf("another's: %v", err)
	}
	need.Done(t, os.WriteFile(filepath.Join(string(f), "mine"), nil, 0o600))
	need.Done(t, f.Drop(func(id string) bool { return id == two.Deployment }))
	left, err := filepath.Glob(filepath.Join(string(f), "*"))
	if err != nil || len(left) != 2 || left[0] != f.file(two.Body) {
		t.Errorf("%q, %v", left, err)
	}
}

// What cannot be is refused, by who publishes it and by who gets it.
func TestRefused(t *testing.T) {
	for says, change := range map[string]func(*Signature){
		"of another program":                     func(s *Signature) { s.Body = "../1" },
		"of another program ":                    func(s *Signature) { s.Deployment = "" },
		"no stub that could be one":              func(s *Signature) { s.Stub = nil },
		"no stub that could be one ":             func(s *Signature) { s.Stub = make([]byte, 5<<20) },
		"no signature that could be one":         func(s *Signature) { s.Signature = nil },
		"no signature that could be one, either": func(s *Signature) { s.Signature = make([]byte, maxSignature+1) },
	} {
		s := signature("1")
		change(&s)
		if _, err := s.Encode(); err == nil || !strings.HasPrefix(says, strings.TrimPrefix(err.Error(), "it is ")) && !strings.HasPrefix(says, strings.TrimPrefix(err.Error(), "it has ")) {
			t.Errorf("%v, want %s", err, says)
		}
	}
	for data, says := range map[string]string{"": "cannot be read", "{}": "has the form 0", `{"version":2}`: "has the form 2"} {
		if _, err := Parse([]byte(data), signature("1").Body); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", data, err)
		}
	}
	if _, err := Parse(make([]byte, MaxSize+1), ""); err == nil {
		t.Error("there is no end to it")
	}
}

func FuzzParse(f *testing.F) {
	s := signature("1")
	data, err := s.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := Parse(data, s.Body)
		if err != nil {
			return
		}
		again, err := got.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if back, err := Parse(again, s.Body); err != nil || !bytes.Equal(back.Signature, got.Signature) {
			t.Fatalf("%+v, %v", back, err)
		}
	})
}
