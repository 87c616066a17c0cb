package mariadb

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"
)

// Socket returns the path of the server's socket, at most 107 bytes.
func (s *Server) Socket() string { return filepath.Join(s.sockets.path, socketName) }

// Port returns the port on 127.0.0.1, 0 without Options.TCP.
func (s *Server) Port() int { return s.port }

// Dir returns the directory of all the server's files.
func (s *Server) Dir() string { return s.dir.path }

// LogPath returns the file of the server's log.
func (s *Server) LogPath() string { return filepath.Join(s.dir.path, "log") }

// Program returns what runs.
func (s *Server) Program() Program { return *s.program }

// Pid returns the process id of the server, 0 while it is stopped.
func (s *Server) Pid() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.child.running() {
		return 0
	}
	return s.child.process.Pid
}

func (s *Server) datadir() string { return filepath.Join(s.dir.path, "data") }

// DSN returns the data source name of go-sql-driver for root on a database, over the socket. The name may be empty.
func (s *Server) DSN(database string) string { return s.config(database).FormatDSN() }

// PDO returns the data source name of PHP's PDO for a database, over the socket. The user is root, without a password.
func (s *Server) PDO(database string) string {
	return "mysql:unix_socket=" + s.Socket() + ";dbname=" + database
}

// CreateDatabase creates an empty database with a name of its own, and returns the name.
func (s *Server) CreateDatabase(ctx context.Context) (string, error) {
	db, err := s.open("")
	if err != nil {
		return "", err
	}
	defer func() { _ = db.Close() }() // its statement was answered
	return CreateDatabase(ctx, db)
}

// CreateDatabase creates an empty database with a name of its own on any server, and returns the name. Its character set
// is utf8mb4.
func CreateDatabase(ctx context.Context, db *sqlx.DB) (string, error) {
	name := "cupid_" + strings.ToLower(rand.Text()[:12])
	if _, err := db.ExecContext(ctx, "CREATE DATABASE "+name+" CHARACTER SET utf8mb4"); err != nil {
		return "", fmt.Errorf("create database %s: %w", name, err)
	}
	return name, nil
}

func (s *Server) config(database string) *mysql.Config {
	c := mysql.NewConfig()
	c.User, c.Net, c.Addr, c.DBName = "root", "unix", s.Socket(), database
	return c
}

// open returns connections that fail silently: while a server starts or stops, that they fail is expected.
func (s *Server) open(database string) (*sqlx.DB, error) {
	c := s.config(database)
	c.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", s.Socket(), err)
	}
	return sqlx.NewDb(sql.OpenDB(connector), "mysql"), nil
}
