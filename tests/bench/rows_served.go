package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/gitboot/gitboot/tests/lab"
)

// cloneServed compares clones of 20,000 commits that gitboot gives to others, by git or by
// gitboot, with git's of the same from git's own server.
func cloneServed(ours func(*cloning, gitServer) side) func(context.Context, *site, row) (result, error) {
	return func(ctx context.Context, s *site, r row) (result, error) {
		ref, err := s.image(ctx, "zstd")
		if err != nil {
			return result{}, err
		}
		w, err := s.newWorld(ctx, ref, "")
		if err != nil {
			return result{}, err
		}
		if err := manyCommits(ctx, w.repo); err != nil {
			return result{}, err
		}
		if _, err := w.reconcile(ctx); err != nil {
			return result{}, err
		}
		served, pid, err := w.serve(ctx)
		if err != nil {
			return result{}, err
		}
		backend, err := s.serve(ctx, w.repo)
		if err != nil {
			return result{}, err
		}
		c := &cloning{site: s, dir: s.path("clones")}
		res, err := timed(ctx, r, ours(c, served), c.byGit(backend), func(ratio float64) check { return atMost(ratio, 2) })
		peak := statusBytes(fmt.Sprintf("/proc/%d/status", pid), "VmHWM")
		res.Checks = append(res.Checks, check{"under 100 MB of memory to serve it", megabytes(peak), peak > 0 && peak < 100e6})
		res.Note = "Theirs is git's http-backend; both are asked by https on this computer. Ours packs nothing anew: what lies packed is copied."
		return res, err
	}
}

// serve gives a world's clone to others until the site is closed.
func (w *world) serve(ctx context.Context) (at gitServer, pid int, err error) {
	dir := filepath.Dir(w.stage)
	key := filepath.Join(dir, "tls.key")
	at.ca = filepath.Join(dir, "tls.pem")
	if _, err := lab.Run(ctx, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
		"-subj", "/CN=house", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", at.ca); err != nil {
		return at, 0, err
	}
	args := w.args("serve", "--with-repo", "--listen", "127.0.0.1:0", "--tls-cert", at.ca, "--tls-key", key)
	cmd := exec.Command(args[0], args[1:]...)
	log, err := cmd.StderrPipe()
	if err != nil {
		return at, 0, err
	}
	if err := cmd.Start(); err != nil {
		return at, 0, err
	}
	lines := bufio.NewScanner(log)
	told := make(chan struct{})
	w.site.undo = append(w.site.undo, func() error {
		err := cmd.Process.Signal(syscall.SIGTERM)
		<-told // all that it says is read before its end is waited for
		return errors.Join(err, cmd.Wait())
	})
	for at.url == "" && lines.Scan() {
		if _, address, ok := strings.Cut(lines.Text(), " at "); ok {
			at.url = "https://" + address + "/repo"
		}
	}
	go func() {
		defer close(told)
		for lines.Scan() {
		}
	}()
	if at.url == "" {
		return at, 0, fmt.Errorf("gitboot serve did not say where it listens: %s", lines.Text())
	}
	return at, cmd.Process.Pid, nil
}
