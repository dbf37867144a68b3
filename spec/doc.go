// Package spec turns a config repo into what one machine wants.
package spec
