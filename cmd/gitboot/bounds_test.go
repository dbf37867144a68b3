package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gitboot/gitboot/tests/need"
)

// asGitboot makes this test's program gitboot itself, so that what a command
// takes can be measured. It names the file for the kernel's account of it.
const asGitboot = "GITBOOT_TEST_ACCOUNT"

func TestMain(m *testing.M) {
	account := os.Getenv(asGitboot)
	if account == "" {
		os.Exit(m.Run())
	}
	code := run(os.Args[1:], os.Stdout, os.Stderr)
	status, err := os.ReadFile("/proc/self/status")
	if err = errors.Join(err, os.WriteFile(account, status, 0o600)); err != nil {
		panic(err)
	}
	os.Exit(code)
}

// gitbootCommand runs gitboot; peak is the most memory that it had, in bytes.
func gitbootCommand(ctx context.Context, t *testing.T, args ...string) (cmd *exec.Cmd, peak func() int) {
	account := filepath.Join(t.TempDir(), "account")
	cmd = exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), asGitboot+"="+account)
	return cmd, func() (kB int) {
		status, err := os.ReadFile(account)
		if _, after, ok := strings.Cut(string(status), "VmHWM:"); err == nil && ok {
			_, err = fmt.Sscan(after, &kB)
		}
		if err != nil || kB == 0 {
			t.Fatalf("how much memory it had is unknown: %v", err)
		}
		return kB * 1024
	}
}

// tree is a repo: files by name. A name with an arrow is a link.
type tree map[string]string

func (files tree) write(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		name, to, link := strings.Cut(name, " -> ")
		path := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		switch {
		case err != nil:
		case link:
			err = os.Symlink(to, path)
		case text == "fifo":
			err = syscall.Mkfifo(path, 0o600)
		default:
			err = os.WriteFile(path, []byte(text), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// upTo repeats a text with a number in it, up to a size.
func upTo(size int, format string) string {
	var b strings.Builder
	for i := 0; b.Len() < size; i++ {
		b.WriteString(strings.ReplaceAll(format, "%d", fmt.Sprint(i)))
	}
	return b.String()
}

func repeated(n int, format string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.ReplaceAll(format, "%d", fmt.Sprint(i)))
	}
	return b.String()
}

func filesOf(n int, format, text string, more tree) tree {
	files := tree{}
	for i := range n {
		files[fmt.Sprintf(format, i)] = strings.ReplaceAll(text, "%d", fmt.Sprint(i))
	}
	for name, text := range more {
		files[name] = text
	}
	return files
}

const (
	large    = 10 << 20
	one      = "[image.a]\npull = \"a\"\n[machine.m]\nimages = [\"a\"]\n"
	everyone = "[defaults.machine]\nimages = [\"a\"]\nhooks = [\"h\"]\n[image.a]\npull = \"a\"\n"
	hooked   = one + "hooks = [\"h\"]\n"
	fromFile = "[[hook.h.file]]\npath = \"/f\"\ntemplate_source = \"t\"\n"
)

// nasty are repos of about 10 MB, or which take as much as one: each has too
// much of something, or nearly so.
var nastyRepos = map[string]func() tree{
	"unknown keys":      func() tree { return tree{"gitboot.toml": upTo(large, "k%d=1\n")} },
	"as many as may be": func() tree { return tree{"gitboot.toml": repeated(199_999, "k%d=1\n")} },
	"dotted":            func() tree { return tree{"gitboot.toml": upTo(large, "a.b.c.d.k%d=1\n")} },
	"deep":              func() tree { return tree{"gitboot.toml": repeated(5_300, strings.Repeat("a.", 31)+"k%d=1\n")} },
	"deep inline tables": func() tree {
		return tree{"gitboot.toml": "x=[" + repeated(2_600, strings.Repeat("{"+strings.Repeat("y", 200)+"=", 30)+"1"+strings.Repeat("}", 30)+",") + "]\n"}
	},
	"nearly as deep": func() tree {
		return tree{"gitboot.toml": "x=[" + repeated(1_950, strings.Repeat("{"+strings.Repeat("y", 16)+"=", 30)+"1"+strings.Repeat("}", 30)+",") + "]\n"}
	},
	"below a deep table": func() tree {
		return tree{"gitboot.toml": "[" + strings.Repeat("aaaaaaa.", 31) + "b]\n" + repeated(33_000, "k%d=1\n")}
	},
	"one long key": func() tree {
		return tree{"gitboot.toml": "[a." + strings.Repeat("x", large) + "]\n" + repeated(1000, "k%d=1\n")}
	},
	"long string": func() tree {
		return tree{"gitboot.toml": hooked + fromFile + "[machine.m.vars]\nx='''" + strings.Repeat("x", large) + "'''\n", "t": "{{range 100}}{{.Vars.x}}{{end}}"}
	},
	"machines": func() tree {
		return tree{"gitboot.toml": "[image.a]\npull=\"a\"\n" + upTo(large, "[machine.m%d]\nimages=[\"a\"]\n")}
	},
	"as many machines": func() tree {
		return tree{"gitboot.toml": "[image.a]\npull=\"a\"\n" + repeated(49_000, "[machine.m%d]\nimages=[\"a\"]\n")}
	},
	"images that are not": func() tree { return tree{"gitboot.toml": repeated(49_000, "[machine.m%d]\nimages=[\"b%d\"]\n")} },
	"names that are none": func() tree { return tree{"gitboot.toml": repeated(90_000, "[machine.\"m %d\"]\n")} },
	"list": func() tree {
		return tree{"gitboot.toml": one + "kernel_args=[" + repeated(199_980, "\"a%d\",") + "]\n"}
	},
	"list of what is not": func() tree {
		return tree{"gitboot.toml": "[machine.m]\nimages=[" + repeated(199_980, "\"a%d\",") + "]\n"}
	},
	"same in a list": func() tree {
		return tree{"gitboot.toml": one + "hooks=[" + repeated(199_980, "\"h\",") + "]\n[hook.h.hostname]\n"}
	},
	"tables":        func() tree { return tree{"gitboot.toml": repeated(199_999, "[[a]]\n")} },
	"inline tables": func() tree { return tree{"gitboot.toml": "x=[" + repeated(199_998, "{},") + "]\n"} },
	"same key":      func() tree { return tree{"gitboot.toml": upTo(large, "a=1\n")} },
	"vars": func() tree {
		return tree{"gitboot.toml": everyone + "[hook.h.hostname]\n[defaults.machine.vars]\n" + repeated(100_000, "v%d=1\n") + repeated(20_000, "[machine.m%d]\n")}
	},
	"profiles": func() tree {
		return tree{"gitboot.toml": "[image.a]\npull=\"a\"\n[profile.p0]\n" + repeated(20_000, "[profile.p1%d]\nprofiles=[\"p0\"]\n") + repeated(20_000, "[machine.m%d]\nimages=[\"a\"]\nprofiles=[\"p1%d\"]\n")}
	},
	"hooks by images": func() tree {
		return tree{"gitboot.toml": "[defaults.machine]\nimages=[" + repeated(9000, "\"i%d\",") + "]\nhooks=[" + repeated(9000, "\"h%d\",") + "]\n" + repeated(9000, "[image.i%d]\npull=\"a\"\n[hook.h%d.hostname]\n[machine.m%d]\n")}
	},
	"comments":    func() tree { return tree{"gitboot.toml": one + "#" + strings.Repeat("x", large)} },
	"empty lines": func() tree { return tree{"gitboot.toml": one + strings.Repeat("\n", large)} },
	"config files": func() tree {
		return filesOf(8_000, "m/%d.toml", "[machine.m%d]\nimages=[\"a\"]\n", tree{"gitboot.toml": "include=[\"m/*.toml\"]\n[image.a]\npull=\"a\"\n"})
	},
	"many files": func() tree {
		return filesOf(8_000, "d/%d/x", "", tree{"gitboot.toml": "include=[\"**/**/*.toml\"]\n" + one})
	},
	"many stars": func() tree {
		return filesOf(300, "%d/b/c/d/e/f/g/h/i/j/k/l", "", tree{"gitboot.toml": "include=[\"" + strings.Repeat("**/", 10) + "*.toml\"]\n" + one})
	},
	"many globs": func() tree {
		return filesOf(3000, "d/%d/x", "", tree{"gitboot.toml": "include=[" + repeated(5000, "\"**/a%d/*.toml\",") + "]\n" + one})
	},
	"folder in itself": func() tree {
		return tree{"gitboot.toml": "include=[\"**/*.toml\"]\n" + one, "a/up -> ..": "", "a/x": ""}
	},
	"device":                func() tree { return tree{"gitboot.toml -> /dev/zero": ""} },
	"pipe":                  func() tree { return tree{"gitboot.toml": "fifo"} },
	"pipe as a config file": func() tree { return tree{"gitboot.toml": "include=[\"p.toml\"]\n" + one, "p.toml": "fifo"} },
	"pipe as a source":      func() tree { return tree{"gitboot.toml": hooked + fromFile, "t": "fifo"} },
	"sources for many": func() tree {
		return tree{"gitboot.toml": everyone + "[[hook.h.file]]\npath=\"/f\"\nsource=\"t\"\n" + repeated(10_000, "[machine.m%d]\n"), "t": strings.Repeat("x", 9<<20)}
	},
	"key files for many": func() tree {
		return tree{"gitboot.toml": everyone + "[[hook.h.authorized-keys.user]]\nuser=\"root\"\nsources=[\"t\"]\n" + repeated(10_000, "[machine.m%d]\n"), "t": strings.Repeat("#\n", 5<<19)}
	},
	"content for many": func() tree {
		return tree{"gitboot.toml": everyone + "[[hook.h.file]]\npath=\"/f\"\ncontent='" + strings.Repeat("x", 9<<20) + "'\n" + repeated(10_000, "[machine.m%d]\n")}
	},
	"templates for many": func() tree {
		return tree{"gitboot.toml": everyone + "[[hook.h.file]]\npath=\"/f\"\ntemplate=\"{{range 1000}}{{end}}\"\n" + repeated(10_000, "[machine.m%d]\n")}
	},
	"loops for many": func() tree {
		return tree{"gitboot.toml": everyone + "[[hook.h.file]]\npath=\"/f\"\ntemplate=\"{{range 9000000000000}}{{end}}\"\n" + repeated(10_000, "[machine.m%d]\n")}
	},
	"large template": func() tree {
		return tree{"gitboot.toml": hooked + fromFile, "t": "{{print" + strings.Repeat(" 1", 500_000) + "}}"}
	},
	"large templates": func() tree {
		return tree{"gitboot.toml": hooked + repeated(3000, "[[hook.h.file]]\npath=\"/f%d\"\ntemplate_source=\"t\"\n"), "t": strings.Repeat("{{.Vars}}{{if 1}}x{{end}}", 6_000)}
	},
	"nested template": func() tree { return tree{"gitboot.toml": hooked + fromFile, "t": strings.Repeat("{{if 1}}", large/8)} },
	"parentheses":     func() tree { return tree{"gitboot.toml": hooked + fromFile, "t": "{{" + strings.Repeat("(", large)} },
	"containerfiles for many": func() tree {
		return tree{"gitboot.toml": one + repeated(20_000, "[image.b%d.build]\nfrom = \"x\"\ncontainerfiles = [\"c\"]\n"), "c": "FROM x\n" + repeated(40_000, "RUN true %d\n")}
	},
	"folders for many": func() tree {
		return filesOf(4000, "ctx/%d", "x", tree{"gitboot.toml": one + repeated(10_000, "[image.b%d.build]\nfrom = \"x\"\ncontext = \"ctx\"\ncontainerfiles = [\"c\"]\n"), "c": "FROM x\n" + repeated(1000, "COPY ctx/* /%d/\n")})
	},
	"recipes for many": func() tree {
		return filesOf(2000, "r/%d", "x", tree{"gitboot.toml": one + repeated(20_000, "[image.b%d.build]\nfrom = \"x\"\nrecipe = \"r\"\n"), "r/script": "#!/bin/sh\n"})
	},
	"copies": func() tree {
		return filesOf(2000, "r/%d", "x", tree{"gitboot.toml": one + "[image.b.build]\nfrom = \"x\"\ncopy = [" + repeated(40_000, "{from=\"r\",to=\"/%d\"},") + "]\n"})
	},
	"doubled": func() tree {
		return tree{"gitboot.toml": hooked + fromFile, "t": "{{$x := \"ab\"}}" + strings.Repeat("{{$x = print $x $x}}", 60)}
	},
	"wide": func() tree {
		return tree{"gitboot.toml": hooked + fromFile, "t": "{{printf \"%999999d\" 1}}{{printf \"" + strings.Repeat("%900000d", 9_000) + "\" 1}}"}
	},
	"calls": func() tree {
		return tree{"gitboot.toml": hooked + fromFile, "t": "{{define \"a\"}}" + strings.Repeat("{{if 1}}", 190) + "{{template \"a\"}}{{template \"a\"}}" + strings.Repeat("{{end}}", 190) + "{{end}}{{template \"a\"}}"}
	},
}

// TestNastyRepos holds that any repo of 10 MB is valid or refused in a word,
// in 200 MB of memory and about two seconds of a processor: here four, as this is also
// run on busy and slow ones.
func TestNastyRepos(t *testing.T) {
	need.Long(t)
	for name, files := range nastyRepos {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			var out bytes.Buffer
			cmd, peak := gitbootCommand(ctx, t, "validate", files().write(t))
			cmd.Stdout, cmd.Stderr = &out, &out
			err := cmd.Run()
			if code := cmd.ProcessState.ExitCode(); code != exitOK && code != exitUsage {
				t.Fatalf("%v: %.2000s", err, out.String())
			}
			took := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
			t.Logf("%d MB, %s, exit %d: %.300s", peak()/1_000_000, took.Round(10*time.Millisecond), cmd.ProcessState.ExitCode(), lastLines(out.String()))
			if peak() > 200_000_000 {
				t.Errorf("it took %d MB", peak()/1_000_000)
			}
			if took > 4*time.Second {
				t.Errorf("it took %s of a processor", took)
			}
			if out.Len() > 200_000 {
				t.Errorf("it printed %d bytes", out.Len())
			}
		})
	}
}

func lastLines(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-2):], " / ")
}
