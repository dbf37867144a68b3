package main

import (
	"bufio"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gitboot/gitboot/tests/lab"
)

// serveCommand makes this program a git server (git's own http-backend behind TLS)
// and a registry, so that what they cost is a process's of its own. It ends when
// its standard input does.
const serveCommand = "serve"

// servers are where they are, and the image that the registry has.
type servers struct{ Git, CA, Image, Stats string }

// traffic is what has been asked of the two servers so far, and their processor
// time.
type traffic struct {
	Git, Registry asked
	CPU           time.Duration
}

// asked counts requests and the bytes of their answers, and how many came in each
// second of the clock.
type asked struct {
	Requests, Bytes int64
	Seconds         map[int64]int
}

// serve is that command: DIR, below which the repos lie, and root.tar, of which it
// makes an image.
func serve(dir string) error {
	path, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		return err
	}
	git, registry := &counter{}, &counter{}
	backend := httptest.NewTLSServer(git.count(&cgi.Handler{
		Path:   filepath.Join(strings.TrimSpace(string(path)), "git-http-backend"),
		Env:    []string{"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"},
		Stderr: io.Discard,
	}))
	defer backend.Close()
	images, err := lab.NewWatchedRegistry(filepath.Join(dir, "registry"), registry.count)
	if err != nil {
		return err
	}
	defer images.Close()
	ref, _, err := images.Push(context.Background(), "os:1", nil, lab.Layer{Path: filepath.Join(dir, "root.tar")})
	if err != nil {
		return err
	}
	stats := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(traffic{git.total(), registry.total(), processorTime()})
	}))
	defer stats.Close()
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: backend.Certificate().Raw}), 0o644); err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(servers{backend.URL, ca, ref, stats.URL}); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// processorTime is that of this process and of the programs it has started.
func processorTime() (sum time.Duration) {
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if syscall.Getrusage(who, &u) == nil {
			sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return sum
}

// A counter counts what is asked of a server.
type counter struct {
	mu  sync.Mutex
	sum asked
}

func (c *counter) count(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := &counted{ResponseWriter: w}
		h.ServeHTTP(out, r)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.sum.Requests++
		c.sum.Bytes += out.n
		if c.sum.Seconds == nil {
			c.sum.Seconds = map[int64]int{}
		}
		c.sum.Seconds[time.Now().Unix()]++
	})
}

func (c *counter) total() asked {
	c.mu.Lock()
	defer c.mu.Unlock()
	sum := c.sum
	sum.Seconds = map[int64]int{}
	for second, n := range c.sum.Seconds {
		sum.Seconds[second] = n
	}
	return sum
}

// A counted answer counts its bytes.
type counted struct {
	http.ResponseWriter
	n int64
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.n += int64(n)
	return n, err
}

// startServers starts them in a process of their own.
func (s *site) startServers(dir string) (at servers, err error) {
	self, err := os.Executable()
	if err != nil {
		return at, err
	}
	cmd := exec.Command(self, serveCommand, dir)
	cmd.Stderr = os.Stderr
	in, errIn := cmd.StdinPipe()
	out, errOut := cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut, cmd.Start()); err != nil {
		return at, err
	}
	s.undo = append(s.undo, func() error { return errors.Join(in.Close(), cmd.Wait()) })
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		return at, fmt.Errorf("start the servers: %w", err)
	}
	return at, json.Unmarshal(line, &at)
}

// traffic is what has been asked so far.
func (at servers) traffic(ctx context.Context) (t traffic, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.Stats, nil)
	if err != nil {
		return t, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return t, err
	}
	defer resp.Body.Close()
	return t, json.NewDecoder(resp.Body).Decode(&t)
}
