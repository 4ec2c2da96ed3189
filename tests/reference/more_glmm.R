# More generalized linear mixed models than ../shared/reference holds:  Rscript more_glmm.R OUT [PATTERN]
# writes OUT/cases_more_lme4 and OUT/cases_more_glmmtmb in the formats of make.R, and the tables they need that make.R
# does not write to OUT/data. About two minutes. The families and links that lme4 or glmmTMB 1.1.5 can fit and that
# make.R leaves out: lme4's Laplace approximation takes the expected information, glmmTMB's the observed one.

args <- commandArgs(TRUE)
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
suppressMessages({ library(lme4); library(glmmTMB) })
for (e in parse(file.path(here, "oracle.R"))[-1]) eval(e, globalenv())   # [-1]: library() calls for linear models too

from <- function(package, name, factors = character()) {
  e <- new.env(); data(list = name, package = package, envir = e)
  plain(e[[name]], factors)
}

cbpp <- from("lme4", "cbpp")
cbpp$rate <- cbpp$incidence / cbpp$size
grouseticks <- from("lme4", "grouseticks")
grouseticks$height100 <- (grouseticks$HEIGHT - 462) / 100
grouseticks$effort <- 1 + seq_len(nrow(grouseticks)) %% 4
sleepstudy <- from("lme4", "sleepstudy")
sleepstudy$w <- c(0.5, 1, 2, 4, 1.5)[1 + seq_len(180) %% 5]
sleepstudy$off <- round(10 * sin(seq_len(180)), 3)
sleepstudy$bend <- (sleepstudy$Days - 4.5)^2 / 10
Gasoline <- from("nlme", "Gasoline")
Gasoline$fraction <- Gasoline$yield / 100
Gasoline$heat <- (Gasoline$endpoint - 330) / 70

set.seed(20250715)                 # compound Poisson-gamma landings, 15 boats crossed with 12 days
landings <- expand.grid(boat = factor(letters[1:15]), day = factor(sprintf("d%02d", 1:12)))
landings$depth <- round(runif(180, -1, 1), 3)
mean_landing <- exp(0.4 + 0.6 * landings$depth + rnorm(15, 0, 0.5)[landings$boat] + rnorm(12, 0, 0.4)[landings$day])
landings$biomass <- round(vapply(mean_landing, function(m) sum(rgamma(rpois(1, m), 2, 1.3)), 0), 4)
landings$crates <- rpois(180, (4 + 0.6 * landings$depth + rnorm(15, 0, 0.5)[landings$boat])^2)
landings <- plain(landings)

datasets <- list(cbpp = cbpp, grouseticks = grouseticks, sleepstudy = sleepstudy, Gasoline = Gasoline,
  Orthodont = from("nlme", "Orthodont"), Salamanders = from("glmmTMB", "Salamanders"), Owls = from("glmmTMB", "Owls"),
  landings = landings)

cases <- list(
  glmm("cbpp_cauchit", "cbpp", cbind(incidence, size - incidence) ~ period + (1 | herd), binomial("cauchit")),
  glmm("cbpp_probit_agq0", "cbpp", cbind(incidence, size - incidence) ~ period + (1 | herd), binomial("probit"), nAGQ = 0),
  glmm("cbpp_probit_agq7", "cbpp", cbind(incidence, size - incidence) ~ period + (1 | herd), binomial("probit"), nAGQ = 7),
  glmm("landings_sqrt", "landings", crates ~ depth + (1 | boat), poisson("sqrt")),
  glmm("grouseticks_agq11", "grouseticks", TICKS ~ YEAR + height100 + (1 | BROOD), poisson("log"), nAGQ = 11))

tmb_cases <- list(
  tmb("cbpp_probit_observed", "cbpp", cbind(incidence, size - incidence) ~ period + (1 | herd), binomial("probit")),
  tmb("cbpp_cloglog_observed", "cbpp", cbind(incidence, size - incidence) ~ period + (1 | herd), binomial("cloglog")),
  tmb("landings_sqrt_observed", "landings", crates ~ depth + (depth | boat), poisson("sqrt")),
  tmb("grouseticks_nbinom2_slope", "grouseticks", TICKS ~ YEAR + height100 + (1 | BROOD) + (1 | LOCATION), nbinom2()),
  tmb("salamanders_zinb2", "Salamanders", count ~ mined + spp + (1 | site), nbinom2(), ziformula = ~mined),
  tmb("owls_zinb2", "Owls", SiblingNegotiation ~ FoodTreatment * SexParent + offset(logBroodSize) + (1 | Nest),
      nbinom2(), ziformula = ~1),
  tmb("owls_zinb1", "Owls", SiblingNegotiation ~ FoodTreatment + ArrivalTime + (1 | Nest), nbinom1(), ziformula = ~FoodTreatment),
  tmb("owls_nbinom1_slope", "Owls", SiblingNegotiation ~ FoodTreatment + (FoodTreatment | Nest), nbinom1()),
  tmb("gasoline_beta_probit", "Gasoline", fraction ~ heat + vapor + (1 | Sample), beta_family("probit")),
  tmb("gasoline_beta_cloglog", "Gasoline", fraction ~ heat + vapor + (1 | Sample), beta_family("cloglog")),
  tmb("orthodont_gamma_inverse_observed", "Orthodont", distance ~ age + Sex + (1 | Subject), Gamma("inverse")),
  tmb("sleepstudy_gaussian_log", "sleepstudy", Reaction ~ Days + (Days | Subject), gaussian("log")),
  tmb("sleepstudy_t", "sleepstudy", Reaction ~ Days + (Days | Subject), t_family()),
  tmb("landings_tweedie", "landings", biomass ~ depth + (1 | boat) + (1 | day), tweedie()))

out <- args[1]
pattern <- if (length(args) > 1) args[2] else "."
new_tables <- "landings"
files <- lapply(setNames(nm = names(datasets)), function(n)
  if (n %in% new_tables) { dir.create(file.path(out, "data"), FALSE, TRUE); write_data(datasets[[n]], n, out) }
  else file.path("data", paste0(n, ".csv")))
for (kind in c("lme4", "glmmtmb")) {
  folder <- file.path(out, paste0("cases_more_", kind))
  dir.create(folder, FALSE, TRUE)
  for (s in if (kind == "lme4") cases else tmb_cases) if (grepl(pattern, s$name)) {
    trace$nb_theta <- NULL
    s$file <- files[[s$data]]
    r <- tryCatch((if (kind == "lme4") run_case else run_tmb_case)(s, datasets[[s$data]],
        file.path(folder, paste0(s$name, ".json"))),
      error = function(e) { cat("FAILED", s$name, ":", conditionMessage(e), "\n"); NULL })
    if (!is.null(r)) cat(sprintf("%-34s objective %.10g  gradient %.1e\n", s$name, r$objective,
                                 max(abs(c(0, r$gradient_in_se_units, r$max_abs_gradient)))))
  }
}
