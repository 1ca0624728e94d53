/* The physical limit of this design: a hello server in C on libuv that does no more than it must.
 * One block of memory a connection, one read buffer a loop, a strict single pass over the head
 * (request line, field names and values, the three fields that decide framing), uv_try_write.
 *
 *     cc -O2 -o hello hello.c $(pkg-config --cflags --libs libuv-static); ./hello PORT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

typedef struct {
    uv_tcp_t handle;
    uint32_t kept;      /* bytes of an unfinished head in `rest` */
    char *rest;
} connection;

static char buffer[65536];
static const char answer[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
    "Content-Length: 13\r\n\r\nhello, world\n";

static void on_closed(uv_handle_t *handle) {
    connection *c = (connection *)handle;
    free(c->rest);
    free(c);
}

static void hang_up(connection *c) {
    if (!uv_is_closing((uv_handle_t *)c)) uv_close((uv_handle_t *)c, on_closed);
}

static int is_token(unsigned char c) {
    static const char other[] = "!#$%&'*+-.^_`|~";
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')
        || (c && strchr(other, c));
}

/* Bytes of the head; 0 when there is more to come, -1 when it is none. A body is refused: nobody
 * sends one to a hello server. */
static long parse_head(const char *p, const char *end) {
    const char *begin = p;
    while (p < end && is_token((unsigned char)*p)) p++;
    if (p == end) return 0;
    if (*p++ != ' ') return -1;
    while (p < end && *p > ' ' && *p != 127) p++;
    if (p == end) return 0;
    if (*p != ' ') return -1;
    if (end - p < 11) return 0;
    if (memcmp(p, " HTTP/1.1\r\n", 11)) return -1;
    p += 11;
    for (;;) {
        if (end - p < 2) return 0;
        if (p[0] == '\r') return p[1] == '\n' ? p + 2 - begin : -1;
        const char *name = p;
        while (p < end && is_token((unsigned char)*p)) p++;
        if (p == end) return 0;
        size_t length = (size_t)(p - name);
        if (*p++ != ':' || !length) return -1;
        while (p < end && (unsigned char)*p >= ' ' && *p != 127) p++;
        if (end - p < 2) return 0;
        if (p[0] != '\r' || p[1] != '\n') return -1;
        p += 2;
        if (length == 14 && !strncasecmp(name, "content-length", 14)) return -1;
        if (length == 17 && !strncasecmp(name, "transfer-encoding", 17)) return -1;
        if (length == 10 && !strncasecmp(name, "connection", 10)
            && strcasestr(name, "close") && strcasestr(name, "close") < p) return -1;
    }
}

static void send_answer(connection *c) {
    uv_buf_t out = uv_buf_init((char *)answer, sizeof answer - 1);
    if (uv_try_write((uv_stream_t *)c, &out, 1) != (int)(sizeof answer - 1)) hang_up(c);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *in) {
    connection *c = (connection *)stream;
    const char *p = in->base, *end;
    if (count == 0) return;
    if (count < 0) { hang_up(c); return; }
    if (c->kept) {
        if (c->kept + (size_t)count > 65536) { hang_up(c); return; }
        c->rest = realloc(c->rest, c->kept + (size_t)count);
        memcpy(c->rest + c->kept, p, (size_t)count);
        p = c->rest;
        count += c->kept;
    }
    end = p + count;
    while (p < end) {
        long head = parse_head(p, end);
        if (head < 0) { hang_up(c); return; }
        if (head == 0) break;
        p += head;
        send_answer(c);
    }
    size_t left = (size_t)(end - p);
    if (left) {
        char *rest = malloc(left);
        memcpy(rest, p, left);
        free(c->rest);
        c->rest = rest;
    } else if (c->rest) {
        free(c->rest);
        c->rest = NULL;
    }
    c->kept = (uint32_t)left;
}

static void on_memory(uv_handle_t *handle, size_t suggested, uv_buf_t *out) {
    (void)handle;
    (void)suggested;
    *out = uv_buf_init(buffer, sizeof buffer);
}

static void on_connection(uv_stream_t *listener, int status) {
    connection *c;
    if (status < 0) return;
    c = calloc(1, sizeof *c);
    uv_tcp_init(listener->loop, &c->handle);
    if (uv_accept(listener, (uv_stream_t *)&c->handle) < 0) { hang_up(c); return; }
    uv_tcp_nodelay(&c->handle, 1);
    uv_read_start((uv_stream_t *)&c->handle, on_memory, on_read);
}

int main(int argc, char **argv) {
    struct sockaddr_in address;
    uv_tcp_t listener;
    int length = sizeof address;
    uv_loop_t *loop = uv_default_loop();
    uv_ip4_addr("127.0.0.1", argc > 1 ? atoi(argv[1]) : 0, &address);
    uv_tcp_init(loop, &listener);
    if (uv_tcp_bind(&listener, (struct sockaddr *)&address, 0) < 0
        || uv_listen((uv_stream_t *)&listener, 4096, on_connection) < 0) {
        fprintf(stderr, "hello: cannot listen\n");
        return 69;
    }
    uv_tcp_getsockname(&listener, (struct sockaddr *)&address, &length);
    printf("127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return uv_run(loop, UV_RUN_DEFAULT);
}
