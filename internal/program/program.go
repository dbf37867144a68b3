// Package program starts other programs in the same way whoever started gitboot
// and with whatever environment: they are looked for in fixed folders, and get
// no more of the caller's variables than they are given here.
package program

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Path is where programs are looked for.
const Path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Find returns where a program is: in Path if name has no slash. If it is not
// there, the error is exec.ErrNotFound.
func Find(name string) (string, error) {
	if strings.Contains(name, "/") {
		return exec.LookPath(name)
	}
	for _, dir := range filepath.SplitList(Path) {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", &exec.Error{Name: name, Err: exec.ErrNotFound}
}

// Command prepares a program to be started with Env, and to be killed when ctx
// ends. If there is no such program, starting it says so. A name with a slash
// is a path from the folder that the command is started in.
func Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = Env()
	if !strings.Contains(name, "/") {
		cmd.Path, cmd.Err = Find(name) // not what a search in the caller's PATH gave
	}
	return cmd
}

// Env is what any program gets.
func Env() []string {
	return []string{"PATH=" + Path, "LANG=C.UTF-8", "LC_ALL=C.UTF-8"}
}

// Proxies are those of the caller's variables that say how the network is
// reached.
func Proxies() []string {
	return Inherited("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
}

// Inherited are the caller's variables of these names, as far as they are set;
// a name that ends in * stands for all that begin so.
func Inherited(names ...string) (env []string) {
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		for _, wanted := range names {
			if prefix, many := strings.CutSuffix(wanted, "*"); name == wanted || many && strings.HasPrefix(name, prefix) {
				env = append(env, variable)
				break
			}
		}
	}
	return env
}
