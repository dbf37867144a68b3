package image

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// A fileServer serves one file through net/http, which knows ranges.
type fileServer struct {
	*httptest.Server
	mu     sync.Mutex
	ranges []string
	before func(w http.ResponseWriter, n int) (done bool)
}

func serveFile(t *testing.T, data []byte) *fileServer {
	t.Helper()
	path := writeFile(t, t.TempDir()+"/f", string(data))
	s := &fileServer{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.ranges = append(s.ranges, r.Header.Get("Range"))
		n, before := len(s.ranges), s.before
		s.mu.Unlock()
		if before == nil || !before(w, n) {
			http.ServeFile(w, r, path)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func cached(t *testing.T) Options {
	t.Helper()
	opts := quick()
	opts.Insecure = false
	opts.CacheDir = t.TempDir() + "/cache"
	return opts
}

func TestDownload(t *testing.T) {
	content := someTar(t, 2<<20)
	data := zst(t, content)
	s := serveFile(t, data)
	s.before = func(w http.ResponseWriter, n int) bool {
		switch n {
		case 1:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 2:
			w.Header().Set("Content-Length", "1900000")
			_, _ = w.Write(data[:1_500_000])
			panic(http.ErrAbortHandler)
		default:
			return false
		}
		return true
	}
	opts := cached(t)
	src := ArchivePlace{URL: s.URL + "/root.tar.zst?token=s3cret", SHA256: strings.ToUpper(sum(data)[7:])}
	img, err := OpenArchive(context.Background(), src, opts)
	check(t, err)
	wantLayers(t, img, content)
	if len(s.ranges) != 3 || s.ranges[2] != "bytes=1500000-" {
		t.Errorf("ranges asked for: %q", s.ranges)
	}
	_, err = OpenArchive(context.Background(), src, opts)
	check(t, err)
	if len(s.ranges) != 3 {
		t.Error("downloaded again")
	}
	entries, err := os.ReadDir(opts.CacheDir)
	check(t, err)
	if len(entries) != 1 || entries[0].Name() != sum(data)[7:] {
		t.Errorf("in the cache: %v", entries)
	}
}

func TestDownloadGoesOnAfterARestart(t *testing.T) {
	content := someTar(t, 1<<20)
	for name, begun := range map[string]string{
		"from the middle": string(content[:600_000]),
		"complete":        string(content),
		"of other bytes":  strings.Repeat("x", 600_000),
	} {
		t.Run(name, func(t *testing.T) {
			s := serveFile(t, content)
			opts := cached(t)
			writeFile(t, filepath.Join(opts.CacheDir, sum(content)[7:]+".part"), begun)
			img, err := OpenArchive(context.Background(), ArchivePlace{URL: s.URL, SHA256: sum(content)}, opts)
			check(t, err)
			wantLayers(t, img, content)
			if !strings.HasPrefix(s.ranges[0], "bytes=") {
				t.Errorf("ranges asked for: %q", s.ranges)
			}
		})
	}
}

func TestDownloadsOfOneFileShareIt(t *testing.T) {
	content := someTar(t, 1<<20)
	s := serveFile(t, content)
	opts := cached(t)
	var wg sync.WaitGroup
	errs := make([]error, 3)
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = OpenArchive(context.Background(), ArchivePlace{URL: s.URL, SHA256: sum(content)}, opts)
		})
	}
	wg.Wait()
	for _, err := range errs {
		check(t, err)
	}
	if len(s.ranges) != 1 {
		t.Errorf("downloaded %d times", len(s.ranges))
	}
}

func TestFailedDownloads(t *testing.T) {
	content := someTar(t, 10_000)
	s := serveFile(t, content)
	opts := cached(t)
	secret := strings.Replace(s.URL, "http://", "http://me:s3cret@", 1) + "/x?sig=s3cret"
	_, err := OpenArchive(context.Background(), ArchivePlace{URL: secret, SHA256: sum(nil)}, opts)
	wantError[*DigestError](t, err, s.URL, sum(content))
	noSecret(t, err, "s3cret")
	if entries, _ := os.ReadDir(opts.CacheDir); len(entries) > 0 {
		t.Errorf("left in the cache: %v", entries)
	}
	s.before = func(w http.ResponseWriter, _ int) bool { w.WriteHeader(http.StatusNotFound); return true }
	_, err = OpenArchive(context.Background(), ArchivePlace{URL: secret, SHA256: sum(content)}, opts)
	wantError[*StatusError](t, err, "404", "check the URL")
	s.before = func(http.ResponseWriter, int) bool { panic(http.ErrAbortHandler) }
	_, err = OpenArchive(context.Background(), ArchivePlace{URL: secret, SHA256: sum(content)}, opts)
	wantWords(t, err, "after 3 attempts")
	noSecret(t, err, "s3cret")
	for _, src := range []ArchivePlace{{URL: s.URL}, {URL: "ftp://x/y", SHA256: sum(nil)}, {URL: s.URL, SHA256: "12"}} {
		_, err = OpenArchive(context.Background(), src, opts)
		if err == nil {
			t.Errorf("opened %+v", src)
		}
	}
}

func TestFingerprint(t *testing.T) {
	dir := t.TempDir()
	path := writeFile(t, dir+"/a.tar", "one")
	print := func(src ArchivePlace) string {
		s, err := Fingerprint(src)
		check(t, err)
		return s
	}
	first := print(ArchivePlace{Path: path})
	if first != print(ArchivePlace{Path: path}) {
		t.Error("not stable")
	}
	info, err := os.Stat(path)
	check(t, err)
	check(t, os.WriteFile(dir+"/new", []byte("two"), 0o600))
	check(t, os.Rename(dir+"/new", path))
	check(t, os.Chtimes(path, info.ModTime(), info.ModTime()))
	if first == print(ArchivePlace{Path: path}) {
		t.Error("does not notice a file of the same size and time")
	}
	inRepo := print(ArchivePlace{Path: "a.tar", FS: os.DirFS(dir)})
	check(t, os.WriteFile(path, []byte("six"), 0o600))
	if inRepo == print(ArchivePlace{Path: "a.tar", FS: os.DirFS(dir)}) {
		t.Error("does not notice other content in the repo")
	}
	if got := print(ArchivePlace{URL: "https://x/y", SHA256: sum(nil)}); got != sum(nil) {
		t.Errorf("fingerprint %s", got)
	}
	if _, err := Fingerprint(ArchivePlace{Path: dir + "/none"}); err == nil {
		t.Error("a missing file has a fingerprint")
	}
}
