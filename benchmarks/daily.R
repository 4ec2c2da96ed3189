# One process of the benchmark of daily work with a fitted model: lme4, prints CPU seconds and bytes as JSON.
#
#   Rscript daily.R TABLE.csv FORMULA GROUP
#
# Each task is done once to warm R's compiler and then until it has taken a second. A task that lme4 cannot do is null.
suppressPackageStartupMessages(library(lme4))

arguments <- commandArgs(TRUE)
table <- read.csv(arguments[1], stringsAsFactors = FALSE)
for (name in intersect(c("Subject", "s", "d", "dept", "service"), names(table))) table[[name]] <- factor(table[[name]])
fit <- lmer(as.formula(arguments[2]), table)
group <- arguments[3]
small <- nlevels(table[[group]]) < 100

cpu <- function(task, once = FALSE) {
  start <- proc.time()
  if (!once) task()
  runs <- 0
  if (!once) start <- proc.time()
  repeat {
    task()
    runs <- runs + 1
    spent <- sum((proc.time() - start)[c("user.self", "sys.self")])
    if (once || spent > 1) return(spent / runs)
  }
}
shown <- function(value) if (is.null(value)) "null" else sprintf("%.9g", value)
attempt <- function(task, once = FALSE) tryCatch(cpu(task, once), error = function(e) NULL)

file <- tempfile()
saveRDS(fit, file)
result <- list(
  predict = attempt(function() predict(fit, table)),
  simulate = attempt(function() simulate(fit, 100)),
  leverage = attempt(function() hatvalues(fit), once = !small),
  refits = if (small) attempt(function() suppressMessages(suppressWarnings(influence(fit, groups = group))), TRUE),
  allfit = if (small) attempt(function() suppressMessages(suppressWarnings(allFit(fit, verbose = FALSE))), TRUE),
  save = attempt(function() saveRDS(fit, file)),
  load = attempt(function() predict(readRDS(file), table[1:10, ])),
  bytes = as.numeric(file.size(file)))
cat("{", paste(sprintf('"%s": %s', names(result), vapply(result, shown, "")), collapse = ", "), "}\n")
