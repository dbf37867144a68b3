package main

import (
	"context"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"io"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	"github.com/gitboot/gitboot/tests/lab"
)

// clone compares the first fetch of a config repo, by the cheapest command
// that needs one, with git's own fetch of all of it.
func clone(make func(context.Context, *lab.Repo) error, https bool) func(context.Context, *site, row) (result, error) {
	return func(ctx context.Context, s *site, r row) (result, error) {
		w, err := s.newWorld(ctx, "registry.example/os:1", "")
		if err != nil {
			return result{}, err
		}
		if err := make(ctx, w.repo); err != nil {
			return result{}, err
		}
		from := gitServer{url: "file://" + w.repo.Dir}
		if https {
			if from, err = s.serve(ctx, w.repo); err != nil {
				return result{}, err
			}
		}
		c := &cloning{site: s, dir: s.path("clones")}
		ours := c.byGitboot(from)
		res, err := timed(ctx, r, ours, c.byGit(from), func(ratio float64) check { return atMost(ratio, 2) })
		if err != nil {
			return res, err
		}
		if err := ours.prepare(ctx, 0); err != nil {
			return res, err
		}
		peak, err := withPeak(ctx, c.gitboot(from)...)
		if err != nil {
			return res, err
		}
		res.Checks = append(res.Checks, check{"under 100 MB of memory", megabytes(peak.Peak.Self), peak.Peak.Self < 100e6})
		return res, os.RemoveAll(c.dir)
	}
}

// A cloning makes clones in a folder, one after the other.
type cloning struct {
	site *site
	dir  string
}

func (c *cloning) agent() string { return filepath.Join(c.dir, "agent.toml") }
func (c *cloning) tmp() string   { return filepath.Join(c.dir, "tmp") }

// gitboot is the command. Where there is no stage, the clone is made in a temporary folder,
// and removed at the end.
func (c *cloning) gitboot(from gitServer) []string {
	return []string{"env", "TMPDIR=" + c.tmp(), c.site.gitboot, "hook", "list", "--config", c.agent(), "--repo", from.url, "--machine", "bench", "--stage", filepath.Join(c.dir, "none")}
}

func (c *cloning) byGitboot(from gitServer) side {
	return side{
		command: "gitboot hook list --repo URL --machine bench",
		prepare: func(context.Context, int) error {
			if err := fresh(c.tmp()); err != nil {
				return err
			}
			settings := ""
			if from.ca != "" {
				settings = fmt.Sprintf("ca_file = %q\n", from.ca)
			}
			return os.WriteFile(c.agent(), []byte(settings), 0o600)
		},
		run: func(ctx context.Context, _ int) (usage, error) { return command(ctx, c.gitboot(from)...) },
	}
}

// byGit trusts any server: git's TLS library takes no certificate for its own authority.
func (c *cloning) byGit(from gitServer) side {
	return side{
		command: "git clone --bare URL",
		prepare: func(context.Context, int) error { return fresh(c.tmp()) },
		run: func(ctx context.Context, _ int) (usage, error) {
			return command(ctx, "git", "-c", "http.sslVerify=false", "clone", "--quiet", "--bare", from.url, filepath.Join(c.tmp(), "clone"))
		},
	}
}

// largeFiles commits 200 MB that nothing compresses: pictures, and a program.
func largeFiles(ctx context.Context, repo *lab.Repo) error {
	for i := range 60 {
		if err := writeNoise(filepath.Join(repo.Dir, fmt.Sprintf("pictures/%02d.png", i)), 3<<20); err != nil {
			return err
		}
	}
	if err := writeNoise(filepath.Join(repo.Dir, "program"), 12<<20); err != nil {
		return err
	}
	_, err := repo.Commit(ctx, "Add pictures")
	return err
}

func writeNoise(path string, size int64) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := io.CopyN(f, rand.Reader, size); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// packedFiles are large files in a pack, so that a server need not compress
// them for each client.
func packedFiles(ctx context.Context, repo *lab.Repo) error {
	if err := largeFiles(ctx, repo); err != nil {
		return err
	}
	_, err := repo.Git(ctx, "-c", "pack.window=0", "-c", "core.compression=0", "repack", "-adq")
	return err
}

// manyCommits adds 20,000, each of which changes one of 200 files.
func manyCommits(ctx context.Context, repo *lab.Repo) error {
	var in strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&in, "commit refs/heads/main\nmark :%d\ncommitter Ada <ada@example.com> %d +0000\ndata 3\nset\n", i+1, 1767323045+i)
		if i == 0 {
			in.WriteString("from refs/heads/main^0\n")
		} else {
			fmt.Fprintf(&in, "from :%d\n", i)
		}
		text := fmt.Sprintf("This is machine %d, for the %dth time.\n", i%200, i)
		fmt.Fprintf(&in, "M 100644 inline notes/%d.txt\ndata %d\n%s\n", i%200, len(text), text)
	}
	stream := filepath.Join(repo.Dir, ".git", "stream")
	if err := os.WriteFile(stream, []byte(in.String()), 0o600); err != nil {
		return err
	}
	if _, err := lab.Run(ctx, "bash", "-c", fmt.Sprintf("git -C %[1]s fast-import --quiet <%[2]s && rm %[2]s", repo.Dir, stream)); err != nil {
		return err
	}
	_, err := repo.Git(ctx, "reset", "--quiet", "--hard")
	return err
}

// A gitServer is where a repo is, and the authority of its certificate, if it has one.
type gitServer struct{ url, ca string }

// serve has git's own http-backend, behind TLS, give out a repo.
func (s *site) serve(ctx context.Context, repo *lab.Repo) (gitServer, error) {
	path, err := lab.Run(ctx, "git", "--exec-path")
	if err != nil {
		return gitServer{}, err
	}
	server := httptest.NewTLSServer(&cgi.Handler{
		Path:   filepath.Join(strings.TrimSpace(path), "git-http-backend"),
		Env:    []string{"GIT_PROJECT_ROOT=" + filepath.Dir(repo.Dir), "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"},
		Stderr: io.Discard,
	})
	s.undo = append(s.undo, func() error { server.Close(); return nil })
	ca := s.path("git-ca.pem")
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return gitServer{server.URL + "/" + filepath.Base(repo.Dir), ca}, os.WriteFile(ca, cert, 0o644)
}
